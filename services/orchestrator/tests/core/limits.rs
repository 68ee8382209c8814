//! What bounds a run, and what a message may do to the one going on.

use nexus_contracts::chat::Usage;
use nexus_contracts::settings::{OnBusy, RunLimits, Settings};
use nexus_orchestrator::core::{Command, Input, Request};

use crate::world::{World, asks, header, submitted};

fn limited(limits: RunLimits) -> World {
    let mut world = World::default();
    world.global().limits = Some(limits);
    world
}

fn used(input: Input, usage: Usage) -> Input {
    match input {
        Input::Inferred {
            command,
            mut result,
        } => {
            result.usage = usage;
            Input::Inferred { command, result }
        }
        other => other,
    }
}

fn failure(commands: &[Command]) -> Option<&str> {
    commands.iter().find_map(|command| match command {
        Command::Fail { event, .. } => Some(event.code.as_str()),
        _ => None,
    })
}

#[test]
fn a_run_that_used_its_tokens_asks_no_model_again() {
    let limits = RunLimits {
        tokens: Some(100),
        ..RunLimits::default()
    };
    let world = limited(limits);
    let (state, commands) = world.first("hello");
    let asks = asks(&commands, &["math_solver"]);
    let (_, commands) = world.apply(&state, &used(asks.clone(), Usage::of(60, 39)));
    assert_eq!(failure(&commands), None);
    let (state, commands) = world.apply(&state, &used(asks, Usage::of(60, 40)));
    assert_eq!(failure(&commands), Some("token_limit"));
    assert!(state.active.is_none());
}

#[test]
fn a_run_that_spent_its_money_asks_no_model_again() {
    let limits = RunLimits {
        cost_microusd: Some(5),
        ..RunLimits::default()
    };
    let world = limited(limits);
    let (state, commands) = world.first("hello");
    let spent = Usage {
        cost_microusd: Some(5),
        ..Usage::of(1, 1)
    };
    let (_, commands) = world.apply(&state, &used(asks(&commands, &["math_solver"]), spent));
    assert_eq!(failure(&commands), Some("cost_limit"));
}

#[test]
fn time_counts_from_the_start_of_the_run() {
    let world = limited(RunLimits {
        seconds: Some(5),
        ..RunLimits::default()
    });
    let (state, commands) = world.first("hello");
    let set = commands.iter().find_map(|command| match command {
        Command::SetTimer { at, .. } => Some(at.as_millis()),
        _ => None,
    });
    assert_eq!(set, Some(6_000));
    assert_eq!(
        state.active.map(|run| run.deadline.as_millis()),
        Some(6_000)
    );
}

fn busy(n: u8, on_busy: OnBusy) -> Input {
    let mut input = submitted(n, "and now?");
    if let Input::Asked(asked) = &mut input
        && let Request::Submit(message) = &mut asked.request
    {
        message.settings = Settings {
            on_busy: Some(on_busy),
            ..Settings::default()
        };
    }
    input
}

#[test]
fn a_message_may_refuse_to_wait() {
    let world = World::default();
    let (state, _) = world.first("one");
    assert_eq!(
        world.refused(&state, &busy(2, OnBusy::Reject)),
        "conversation_busy"
    );
}

#[test]
fn a_message_may_take_the_place_of_the_one_going_on() {
    let world = World::default();
    let (state, commands) = world.first("one");
    let (state, _) = world.apply(&state, &asks(&commands, &["math_solver"]));
    let (state, _) = world.apply(&state, &submitted(2, "two"));
    let (state, commands) = world.apply(&state, &busy(3, OnBusy::Interrupt));
    assert_eq!(failure(&commands), Some("interrupted"));
    assert!(
        commands
            .iter()
            .any(|command| matches!(command, Command::Cancel { run_id, .. }
        if *run_id == header(1).run_id))
    );
    let active = state.active.as_ref().map(|run| run.header.run_id);
    assert_eq!(active, Some(header(3).run_id), "before the one that waited");
    assert_eq!(state.queued.len(), 1);
}
