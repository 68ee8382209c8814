//! What the loop does, step by step.

use nexus_contracts::tool::Taint;
use nexus_orchestrator::core::{Command, Input, Reject, Request, State, step};

use crate::world::{World, answer, asks, cancel, header, submitted};

#[test]
fn a_message_is_accepted_and_a_model_is_asked() {
    let world = World::default();
    let (state, commands) = world.first("hello");
    assert!(matches!(commands[0], Command::Accept { .. }));
    assert!(matches!(commands[1], Command::SetTimer { .. }));
    let Command::Infer { step, event, .. } = &commands[2] else {
        panic!("{commands:?}")
    };
    assert_eq!(*step, 1);
    assert_eq!(
        event.messages.last().map(|m| m.content.as_str()),
        Some("hello")
    );
    assert_eq!(event.tools.len(), 2);
    assert!(state.active.is_some());
}

#[test]
fn an_answer_ends_the_run() {
    let world = World::default();
    let (state, commands) = world.first("hello");
    let (state, commands) = world.apply(&state, &answer(&commands, "hi there"));
    let [
        Command::Settle { .. },
        Command::Settle { .. },
        Command::Complete { event, .. },
        Command::ClearTimer { .. },
    ] = commands.as_slice()
    else {
        panic!("{commands:?}")
    };
    assert_eq!(event.text, "hi there");
    assert_eq!(event.steps, 1);
    assert!(state.active.is_none());
    assert_eq!(state.messages.len(), 2);
}

#[test]
fn tools_are_called_side_by_side_and_come_back_in_the_models_order() {
    let world = World::default();
    let (state, commands) = world.first("two things");
    let (state, calls) = world.apply(&state, &asks(&commands, &["math_solver", "current_time"]));
    let ids: Vec<_> = calls
        .iter()
        .filter_map(|command| match command {
            Command::CallTool { id, .. } => Some(id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 2);
    let returned = |at: usize, content: &str| Input::ToolReturned {
        command: ids[at].clone(),
        content: content.to_owned(),
        taint: Taint::default(),
    };
    let (state, commands) = world.apply(&state, &returned(1, "noon"));
    assert_eq!(
        commands.len(),
        1,
        "the other call is still open: {commands:?}"
    );
    assert_eq!(
        step(&state, &returned(1, "again"), &world.ctx()),
        Err(Reject::Stale)
    );
    let (_, commands) = world.apply(&state, &returned(0, "1591"));
    let Some(Command::Infer { event, step, .. }) = commands.get(1) else {
        panic!("{commands:?}")
    };
    assert_eq!(*step, 2);
    let results: Vec<_> = event
        .messages
        .iter()
        .rev()
        .take(2)
        .map(|m| m.content.clone())
        .collect();
    assert_eq!(results, ["noon", "1591"]);
}

#[test]
fn a_tool_that_was_not_offered_is_refused_without_being_called() {
    let world = World::default();
    let mut message = submitted(1, "x");
    if let Input::Asked(asked) = &mut message
        && let Request::Submit(message) = &mut asked.request
    {
        message.settings.tools = Some(vec!["current_time".to_owned()]);
    }
    let (state, commands) = world.apply(&State::new(header(1).conversation_id), &message);
    let (_, commands) = world.apply(&state, &asks(&commands, &["math_solver"]));
    assert!(
        !commands
            .iter()
            .any(|command| matches!(command, Command::CallTool { .. }))
    );
    let Some(Command::Infer { event, .. }) = commands.last() else {
        panic!("{commands:?}")
    };
    let told = &event.messages.last().expect("a result").content;
    assert!(told.contains("not available"), "{told}");
}

#[test]
fn a_model_that_never_stops_asking_fails_at_the_step_limit() {
    let world = World::default();
    let (mut state, mut commands) = world.first("loop");
    for _ in 0..4 {
        let (next, calls) = world.apply(&state, &asks(&commands, &["math_solver"]));
        if let Some(Command::Fail { event, .. }) = calls
            .iter()
            .find(|command| matches!(command, Command::Fail { .. }))
        {
            assert_eq!(event.code, "step_limit");
            assert!(next.active.is_none());
            return;
        }
        let call = calls.iter().find_map(|command| match command {
            Command::CallTool { id, .. } => Some(id.clone()),
            _ => None,
        });
        let returned = Input::ToolReturned {
            command: call.expect("a call"),
            content: "1".to_owned(),
            taint: Taint::default(),
        };
        (state, commands) = world.apply(&next, &returned);
    }
    panic!("the run went on after {} steps", 4);
}

#[test]
fn messages_queue_behind_a_run_and_start_in_order() {
    let world = World::default();
    let (state, commands) = world.first("one");
    let (state, second) = world.apply(&state, &submitted(2, "two"));
    assert!(matches!(second.as_slice(), [Command::Accept { .. }]));
    let (state, _) = world.apply(&state, &submitted(3, "three"));
    let refused = step(&state, &submitted(4, "four"), &world.ctx());
    assert!(matches!(
        refused,
        Err(Reject::Refused {
            code: "conversation_busy",
            ..
        })
    ));
    let (state, commands) = world.apply(&state, &answer(&commands, "first"));
    assert_eq!(
        state.active.as_ref().map(|run| run.header.run_id),
        Some(header(2).run_id)
    );
    assert!(
        commands
            .iter()
            .any(|command| matches!(command, Command::Infer { .. }))
    );
    assert_eq!(state.queued.len(), 1);
}

#[test]
fn cancelling_ends_a_run_or_takes_a_message_out_of_the_queue() {
    let world = World::default();
    let (state, _) = world.first("one");
    let (state, _) = world.apply(&state, &submitted(2, "two"));
    let (state, commands) = world.apply(&state, &cancel(8, 2));
    assert!(
        matches!(&commands[..], [Command::Accept { event: about, .. },
        Command::Fail { event, .. }] if event.code == "cancelled" && about.run_id == header(2).run_id)
    );
    let (state, commands) = world.apply(&state, &cancel(9, 1));
    assert!(matches!(commands[1], Command::Cancel { .. }));
    assert!(state.active.is_none());
    assert_eq!(world.refused(&state, &cancel(10, 1)), "unknown_run");
}

#[test]
fn a_deadline_ends_the_run_it_belongs_to_and_no_other() {
    let world = World::default();
    let (state, _) = world.first("one");
    let passed = |of: u8| Input::DeadlinePassed {
        run_id: header(of).run_id,
    };
    assert_eq!(world.refused(&state, &passed(2)), "stale");
    assert_eq!(world.refused(&state, &passed(1)), "stale", "not yet");
    let (state, commands) = world.apply_at(61_000, &state, &passed(1));
    let failed = commands.iter().find_map(|command| match command {
        Command::Fail { event, .. } => Some(event.code.clone()),
        _ => None,
    });
    assert_eq!(failed.as_deref(), Some("deadline_exceeded"));
    assert!(state.active.is_none());
}

#[test]
fn bad_text_is_refused_with_what_to_do() {
    let world = World::default();
    let state = State::new(header(1).conversation_id);
    let huge = "x".repeat(nexus_contracts::events::message::MAX_TEXT_BYTES + 1);
    for (text, says) in [("  ", "empty"), ("a\0b", "NUL"), (huge.as_str(), "limit")] {
        let refused = step(&state, &submitted(1, text), &world.ctx());
        let Err(Reject::Refused {
            code: "bad_request",
            detail,
        }) = refused
        else {
            panic!("{refused:?}")
        };
        assert!(detail.contains(says), "{detail}");
    }
}
