//! Several answers to vote on, and a question instead of a guess.

use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::{Agreement, InferenceFailed, MessageCompleted};
use nexus_contracts::settings::Caching;
use nexus_contracts::{Extra, MessageId};
use nexus_orchestrator::core::{Command, Input, State};

use crate::world::{World, answer, asks, inferred};

fn asked_models(commands: &[Command]) -> Vec<MessageId> {
    let asked = commands.iter().filter_map(|command| match command {
        Command::Infer { id, event, .. } => Some((id.clone(), event.quiet)),
        _ => None,
    });
    let asked: Vec<_> = asked.collect();
    assert!(
        asked.iter().all(|(_, quiet)| *quiet),
        "voices would mix on the live stream"
    );
    asked.into_iter().map(|(id, _)| id).collect()
}

fn says(command: &MessageId, text: &str) -> Input {
    inferred(command.clone(), ChatMessage::text(Role::Assistant, text))
}

fn fails(command: &MessageId) -> Input {
    Input::InferenceFailed {
        command: command.clone(),
        failure: InferenceFailed {
            code: "provider_failed".to_owned(),
            detail: "for tests".to_owned(),
            retryable: true,
            provider: None,
            extra: Extra::new(),
        },
    }
}

fn three() -> (World, State, Vec<MessageId>) {
    let mut world = World::default();
    world.global().samples = Some(3);
    let (state, commands) = world.first("What is 6*7?");
    let models = asked_models(&commands);
    assert_eq!(models.len(), 3);
    (world, state, models)
}

fn completed(commands: &[Command]) -> &MessageCompleted {
    let found = commands.iter().find_map(|command| match command {
        Command::Complete { event, .. } => Some(event.as_ref()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no answer: {commands:?}"))
}

#[test]
fn the_answer_is_what_most_say_and_tells_how_many() {
    let (world, state, models) = three();
    let (state, _) = world.apply(&state, &says(&models[2], "It is 42."));
    let (state, _) = world.apply(&state, &says(&models[0], "41"));
    let (state, commands) = world.apply(&state, &says(&models[1], "42"));
    let answer = completed(&commands);
    let agreement = Agreement {
        samples: 3,
        agreeing: 2,
    };
    assert_eq!(
        (answer.text.as_str(), answer.agreement),
        ("42", Some(agreement))
    );
    assert_eq!(answer.usage.tokens(), 6, "all of them are paid for");
    assert!(state.active.is_none());
}

#[test]
fn an_answer_that_fails_does_not_vote() {
    let (world, state, models) = three();
    let (state, _) = world.apply(&state, &fails(&models[0]));
    let (state, _) = world.apply(&state, &says(&models[1], "42"));
    let (_, commands) = world.apply(&state, &fails(&models[2]));
    let agreement = Agreement {
        samples: 1,
        agreeing: 1,
    };
    assert_eq!(completed(&commands).agreement, Some(agreement));
}

#[test]
fn when_all_fail_the_run_fails_with_the_last_reason() {
    let (world, mut state, models) = three();
    let mut last = Vec::new();
    for model in &models {
        (state, last) = world.apply(&state, &fails(model));
    }
    let failed = last.iter().any(|command| {
        matches!(command, Command::Fail { event, .. }
        if event.code == "provider_failed" && event.retryable)
    });
    assert!(failed, "{last:?}");
}

#[test]
fn one_answer_is_drawn_and_streams_unless_more_are_asked_for() {
    let world = World::default();
    let (state, commands) = world.first("hello");
    let quiet = commands
        .iter()
        .any(|command| matches!(command, Command::Infer { event, .. } if event.quiet));
    assert!(!quiet);
    let (_, commands) = world.apply(&state, &answer(&commands, "hi"));
    assert_eq!(completed(&commands).agreement, None);
}

#[test]
fn earlier_answers_will_do_where_somebody_says_so_but_not_for_answers_that_vote() {
    let caching = |samples, cache| {
        let mut world = World::default();
        world.global().samples = Some(samples);
        world.global().cache = cache;
        let (_, commands) = world.first("hello");
        let asked = commands.iter().filter_map(|command| match command {
            Command::Infer { event, .. } => Some(event.cache),
            _ => None,
        });
        asked.collect::<Vec<_>>()
    };
    assert_eq!(caching(1, None), [Caching::Off]);
    assert_eq!(caching(1, Some(Caching::Exact)), [Caching::Exact]);
    assert_eq!(caching(2, Some(Caching::Exact)), [Caching::Off; 2]);
}

/// `math_solver` requires `expression`.
fn strict() -> World {
    let mut world = World::default();
    let tool = world.environment.tools.get_mut("math_solver").unwrap();
    tool.parameters = serde_json::json!({
        "properties": { "expression": { "description": "what to calculate" } },
        "required": ["expression"],
    });
    world
}

#[test]
fn a_call_that_lacks_something_becomes_a_question() {
    let world = strict();
    let (state, commands) = world.first("calculate");
    let (state, commands) = world.apply(&state, &asks(&commands, &["current_time", "math_solver"]));
    assert!(
        !commands
            .iter()
            .any(|command| matches!(command, Command::CallTool { .. }))
    );
    let asked = completed(&commands);
    assert!(asked.text.contains("what to calculate"), "{}", asked.text);
    assert_eq!(
        asked
            .clarification
            .as_ref()
            .map(|missing| missing.argument.as_str()),
        Some("expression")
    );
    // The next message goes on from a conversation every provider takes.
    let roles: Vec<Role> = state.messages.iter().map(|message| message.role).collect();
    let whole = [
        Role::User,
        Role::Assistant,
        Role::Tool,
        Role::Tool,
        Role::Assistant,
    ];
    assert_eq!(roles, whole);
}

#[test]
fn without_clarifying_the_tool_refuses_in_its_own_words() {
    let mut world = strict();
    world.global().clarify = Some(false);
    let (state, commands) = world.first("calculate");
    let (_, commands) = world.apply(&state, &asks(&commands, &["math_solver"]));
    assert!(
        commands
            .iter()
            .any(|command| matches!(command, Command::CallTool { .. }))
    );
}
