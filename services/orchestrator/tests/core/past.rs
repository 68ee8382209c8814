//! Checkpoints of every version read, and a conversation folds again.

use nexus_contracts::tool::Taint;
use nexus_orchestrator::core::checkpoint::{
    CheckpointError, VERSION, decode_environment, decode_input, decode_state, encode_environment,
    encode_input, encode_state,
};
use nexus_orchestrator::core::replay::{Past, ReplayError, fold};
use nexus_orchestrator::core::{Input, State, step};

use crate::world::{World, answer, asks, header, submitted};

fn events(world: &World) -> Vec<Input> {
    let (state, commands) = world.first("one");
    let calls = asks(&commands, &["math_solver"]);
    let (_, called) = world.apply(&state, &calls);
    let returned = called.iter().find_map(|command| match command {
        nexus_orchestrator::core::Command::CallTool { id, .. } => Some(Input::ToolReturned {
            command: id.clone(),
            content: "1".to_owned(),
            taint: Taint::default(),
        }),
        _ => None,
    });
    vec![
        submitted(1, "one"),
        submitted(2, "two"),
        calls,
        returned.expect("a call"),
    ]
}

#[test]
fn a_conversation_folds_to_its_state_from_any_snapshot() {
    let world = World::default();
    let events = events(&world);
    let mut states = vec![State::new(header(1).conversation_id)];
    for event in &events {
        let before = states.last().expect("a state");
        states.push(step(before, event, &world.ctx()).expect("taken").0);
    }
    let past = |from: usize| {
        let events = events.iter().enumerate().skip(from);
        let events = events.map(|(at, input)| Past {
            seq: at as i64 + 1,
            at: world.ctx().now,
            input: decode_input(&encode_input(input).expect("written")).expect("read"),
            environment: &world.environment,
        });
        events.collect::<Vec<_>>()
    };
    for (from, snapshot) in states.iter().enumerate() {
        let written = encode_state(snapshot).expect("written");
        let snapshot = decode_state(&written).expect("read");
        let (version, state) = fold((from as i64, snapshot), past(from)).expect("folds");
        assert_eq!((version, &state), (4, states.last().expect("a state")));
    }
    let gap = fold((0, states[0].clone()), past(1));
    assert_eq!(gap, Err(ReplayError::Gap { after: 0, found: 2 }));
}

#[test]
fn an_environment_comes_back_whole() {
    let environment = World::default().environment;
    let written = encode_environment(&environment).expect("written");
    assert_eq!(decode_environment(&written), Ok(environment));
}

#[test]
fn damage_and_newer_versions_are_named() {
    let newer = decode_state(&[0xc1, VERSION + 1, 0x80]);
    assert_eq!(newer, Err(CheckpointError::Newer { found: VERSION + 1 }));
    for bytes in [
        &[][..],
        &[0xc1],
        &[0xc1, VERSION],
        &[0xc1, VERSION, 0x80],
        &[0x80],
        b"text",
    ] {
        assert!(
            matches!(decode_state(bytes), Err(CheckpointError::Damaged { .. })),
            "{bytes:?}"
        );
    }
}

/// What version 1 wrote: with a run that waits for a model and a message behind it, with one that
/// waits for tools, and at rest.
#[test]
fn states_of_version_1_read() {
    let folder = std::path::Path::new("tests/checkpoints/v1");
    let read = |name: &str| {
        let bytes = std::fs::read(folder.join(name)).expect("a fixture");
        decode_state(&bytes).expect(name)
    };
    let resting = read("resting.bin");
    assert!(resting.active.is_none() && !resting.messages.is_empty());
    let waiting = read("waiting.bin");
    let run = waiting.active.as_ref().expect("a run");
    assert_eq!(run.pending.commands().len(), 1);
    assert_eq!(waiting.queued.len(), 1);
    assert_eq!(waiting.owner, Some(run.header.user_id));
    let result = answer_of(&waiting);
    let world = World::default();
    let (after, _) = step(&waiting, &result, &world.ctx()).expect("it goes on");
    assert_ne!(
        after.active.map(|run| run.header.run_id),
        waiting.active.map(|run| run.header.run_id)
    );
}

fn answer_of(state: &State) -> Input {
    let run = state.active.as_ref().expect("a run");
    let command = run.pending.commands().remove(0);
    let message =
        nexus_contracts::chat::ChatMessage::text(nexus_contracts::chat::Role::Assistant, "done");
    crate::world::inferred(command, message)
}

#[test]
fn an_answer_to_nothing_is_stale() {
    let world = World::default();
    let (state, commands) = world.first("one");
    let (state, _) = world.apply(&state, &answer(&commands, "done"));
    assert_eq!(world.refused(&state, &answer(&commands, "done")), "stale");
}
