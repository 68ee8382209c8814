//! Tool calls that wait for a person.

use nexus_contracts::MessageId;
use nexus_contracts::events::approval::arguments_hash;
use nexus_contracts::events::{ApprovalDecided, ApprovalRequested, Decision};
use nexus_contracts::settings::ToolPolicy;
use nexus_contracts::{Extra, Timestamp};
use nexus_orchestrator::core::{Command, Input, Request, State, Timer};

use crate::world::{NOW, World, asked, asks, cancel, header};

/// `math_solver` needs a person; `current_time` does not.
fn world() -> World {
    let mut world = World::default();
    let ask = ("math_solver".to_owned(), ToolPolicy::Ask);
    world.global().tool_policy = Some([ask].into());
    world.global().approval_seconds = Some(600);
    world
}

fn waiting(world: &World, tools: &[&str]) -> (State, Vec<Command>, ApprovalRequested) {
    let (state, commands) = world.first("work it out");
    let (state, commands) = world.apply(&state, &asks(&commands, tools));
    let request = commands.iter().find_map(|command| match command {
        Command::AskApproval { event, .. } => Some(event.as_ref().clone()),
        _ => None,
    });
    (state, commands, request.expect("a person is asked"))
}

fn decide(request: &ApprovalRequested, decision: Decision) -> Input {
    let decided = ApprovalDecided {
        approval_id: request.approval_id.clone(),
        run_id: request.run_id,
        conversation_id: request.conversation_id,
        arguments_hash: request.arguments_hash.clone(),
        decision,
        comment: Some("because".to_owned()),
        extra: Extra::new(),
    };
    asked(7, Request::Decide(decided))
}

fn deadline_set(commands: &[Command]) -> Option<Timestamp> {
    commands.iter().find_map(|command| match command {
        Command::SetTimer {
            timer: Timer::Deadline(_),
            at,
        } => Some(*at),
        _ => None,
    })
}

#[test]
fn a_call_waits_for_a_person_while_the_others_are_made() {
    let world = world();
    let (state, commands, request) = waiting(&world, &["math_solver", "current_time"]);
    assert_eq!(request.arguments_hash, arguments_hash("math_solver", "{}"));
    assert_eq!(request.expires_at.as_millis(), NOW + 600_000);
    let called: Vec<&str> = commands
        .iter()
        .filter_map(|command| match command {
            Command::CallTool { event, .. } => Some(event.name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(called, ["current_time"]);
    // The run's clock stands still: 60 s of it are left whenever the person decides.
    assert_eq!(
        deadline_set(&commands),
        Some(Timestamp::from_millis(NOW + 660_000))
    );
    assert!(
        state
            .active
            .is_some_and(|run| run.paused_ms == Some(60_000))
    );
}

#[test]
fn an_approved_call_is_made_with_the_time_that_was_left() {
    let world = world();
    let (state, _, request) = waiting(&world, &["math_solver"]);
    let later = NOW + 500_000;
    let (state, commands) = world.apply_at(later, &state, &decide(&request, Decision::Approve));
    let Some(Command::CallTool { id, deadline, .. }) = commands.last() else {
        panic!("{commands:?}")
    };
    assert_eq!(*id, request.approval_id);
    assert_eq!(deadline.as_millis(), later + 60_000);
    assert_eq!(
        deadline_set(&commands),
        Some(Timestamp::from_millis(later + 60_000))
    );
    assert_eq!(
        world.refused(&state, &decide(&request, Decision::Deny)),
        "unknown_approval"
    );
}

#[test]
fn a_denied_call_is_told_to_the_model() {
    let world = world();
    let (state, _, request) = waiting(&world, &["math_solver"]);
    let (_, commands) = world.apply(&state, &decide(&request, Decision::Deny));
    assert!(
        !commands
            .iter()
            .any(|command| matches!(command, Command::CallTool { .. }))
    );
    let Some(Command::Infer { event, .. }) = commands.last() else {
        panic!("{commands:?}")
    };
    let told = &event.messages.last().expect("a result").content;
    assert!(
        told.contains("decided against") && told.contains("because"),
        "{told}"
    );
}

#[test]
fn a_decision_about_other_arguments_is_refused() {
    let world = world();
    let (state, _, request) = waiting(&world, &["math_solver"]);
    let other = ApprovalRequested {
        arguments_hash: arguments_hash("math_solver", "{\"expression\":\"1\"}"),
        ..request.clone()
    };
    assert_eq!(
        world.refused(&state, &decide(&other, Decision::Approve)),
        "arguments_changed"
    );
    let unknown = ApprovalRequested {
        approval_id: MessageId::from(header(3).run_id),
        ..request
    };
    assert_eq!(
        world.refused(&state, &decide(&unknown, Decision::Approve)),
        "unknown_approval"
    );
}

#[test]
fn nobody_decides_in_time() {
    let world = world();
    let (state, _, request) = waiting(&world, &["math_solver"]);
    let expired = Input::ApprovalExpired {
        run_id: request.run_id,
        approval_id: request.approval_id,
    };
    assert_eq!(world.refused(&state, &expired), "stale", "not yet");
    let (_, commands) = world.apply_at(NOW + 600_000, &state, &expired);
    let Some(Command::Infer { event, .. }) = commands.last() else {
        panic!("{commands:?}")
    };
    let told = &event.messages.last().expect("a result").content;
    assert!(told.contains("nobody approved"), "{told}");
}

#[test]
fn the_clock_stands_still_until_the_last_decision() {
    let world = world();
    let (state, _, first) = waiting(&world, &["math_solver", "math_solver"]);
    let deadline = Input::DeadlinePassed {
        run_id: first.run_id,
    };
    let at = NOW + 300_000;
    let (state, commands) = world.apply_at(at, &state, &decide(&first, Decision::Approve));
    assert_eq!(deadline_set(&commands), None, "another call still waits");
    assert_eq!(world.refused(&state, &deadline), "stale");
    let approvals = state.active.as_ref().map(|run| run.pending.approvals());
    let second = ApprovalRequested {
        approval_id: approvals.expect("a run")[0].clone(),
        ..first
    };
    let (state, commands) = world.apply_at(at, &state, &decide(&second, Decision::Approve));
    assert_eq!(
        deadline_set(&commands),
        Some(Timestamp::from_millis(at + 60_000))
    );
    let (state, _) = world.apply_at(at + 60_000, &state, &deadline);
    assert!(state.active.is_none());
}

#[test]
fn a_run_that_ends_asks_nobody_any_more() {
    let world = world();
    let (state, _, request) = waiting(&world, &["math_solver"]);
    let (state, commands) = world.apply(&state, &cancel(8, 1));
    let cleared = Timer::Approval(request.run_id, request.approval_id.clone());
    let clears = |command: &Command| {
        *command
            == Command::ClearTimer {
                timer: cleared.clone(),
            }
    };
    assert!(commands.iter().any(clears), "{commands:?}");
    assert_eq!(
        world.refused(&state, &decide(&request, Decision::Approve)),
        "unknown_approval"
    );
}

#[test]
fn a_denied_tool_is_not_even_offered() {
    let mut world = world();
    let deny = ("math_solver".to_owned(), ToolPolicy::Deny);
    world.global().tool_policy = Some([deny].into());
    let (_, commands) = world.first("work it out");
    let Some(Command::Infer { event, .. }) = commands.last() else {
        panic!("{commands:?}")
    };
    let offered: Vec<&str> = event.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(offered, ["current_time"]);
}
