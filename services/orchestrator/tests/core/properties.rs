//! What holds whatever happens in whatever order.

use nexus_orchestrator::core::{Input, step};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::history::{History, Next, Reply};
use crate::world::{World, cancel, header, submitted};

/// What may happen next, in any order, to any of five runs.
#[derive(Clone, Debug)]
enum Happening {
    Message(u8),
    Cancel(u8),
    Deadline(u8),
    /// Answers the nth command ever issued, in this way.
    Answer(usize, Kind),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Tools(u8),
    Failure,
    Result,
}

fn happening() -> impl Strategy<Value = Happening> {
    let kind = prop_oneof![
        3 => Just(Kind::Text),
        3 => (0_u8..4).prop_map(Kind::Tools),
        1 => Just(Kind::Failure),
        4 => Just(Kind::Result),
    ];
    prop_oneof![
        3 => (0_u8..5).prop_map(Happening::Message),
        1 => (0_u8..5).prop_map(Happening::Cancel),
        1 => (0_u8..5).prop_map(Happening::Deadline),
        8 => (any::<usize>(), kind).prop_map(|(at, kind)| Happening::Answer(at, kind)),
    ]
}

proptest! {
    /// Whatever happens in whatever order: the state never breaks, every run that was accepted has
    /// at most one outcome, every command id is issued once, every tool call has exactly one result
    /// before the next model call, and the same event on the same state gives the same commands.
    #[test]
    fn whatever_happens(events in proptest::collection::vec(happening(), 1..60)) {
        let world = World::default();
        let mut history = History::default();
        for event in events {
            let Some(input) = history.input(&event_of(&event)) else { continue };
            let first = step(&history.state, &input, &world.ctx());
            prop_assert_eq!(&first, &step(&history.state, &input, &world.ctx()));
            if let Ok((state, commands)) = first {
                prop_assert!(history.advance(state, &commands).is_ok(), "{:?}", history.wrong);
            }
        }
    }
}

fn event_of(happening: &Happening) -> Next {
    match happening {
        Happening::Message(run) => Next::Input(submitted(*run, "hello")),
        Happening::Cancel(run) => Next::Input(cancel(100, *run)),
        Happening::Deadline(run) => Next::Input(Input::DeadlinePassed {
            run_id: header(*run).run_id,
        }),
        Happening::Answer(at, kind) => Next::Answer(
            *at,
            match kind {
                Kind::Text => Reply::Text,
                Kind::Tools(count) => Reply::Tools(*count),
                Kind::Failure => Reply::Failure,
                Kind::Result => Reply::Result,
            },
        ),
    }
}
