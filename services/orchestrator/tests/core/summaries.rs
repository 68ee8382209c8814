//! Summaries, titles, and what models get to see.

use nexus_contracts::chat::Role;
use nexus_contracts::events::{InferenceRequested, Purpose};
use nexus_orchestrator::core::{Command, Fact, Request, State};

use crate::world::{World, answer, asked, submitted};

/// A conversation is summarised at six messages.
fn world() -> World {
    let mut world = World::default();
    world.global().summary_after = Some(6);
    world
}

/// Three turns; gives what the last one led to.
fn three_turns(world: &World) -> (State, Vec<Command>) {
    let (mut state, mut commands) = world.first("turn 1");
    for n in 2..=3 {
        (state, _) = world.apply(&state, &answer(&commands, &format!("answer {}", n - 1)));
        (state, commands) = world.apply(&state, &submitted(n, &format!("turn {n}")));
    }
    world.apply(&state, &answer(&commands, "answer 3"))
}

fn model_call(commands: &[Command]) -> &InferenceRequested {
    let found = commands.iter().rev().find_map(|command| match command {
        Command::Infer { event, .. } => Some(event.as_ref()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no model is asked: {commands:?}"))
}

fn fact(commands: &[Command], wanted: fn(&Fact) -> bool) -> bool {
    commands
        .iter()
        .any(|command| matches!(command, Command::Tell { fact, .. } if wanted(fact)))
}

#[test]
fn a_long_conversation_is_summarised_and_the_summary_stands_for_its_beginning() {
    let world = world();
    let (state, commands) = three_turns(&world);
    let call = model_call(&commands);
    assert_eq!(
        (call.purpose, call.quiet, call.tools.len()),
        (Purpose::Summary, true, 0)
    );
    let read = &call.messages[1].content;
    assert!(
        read.contains("turn 2") && !read.contains("turn 3"),
        "{read}"
    );
    let written = answer(&commands, "Title: Turns\n\nThey took two turns.");
    let (state, commands) = world.apply(&state, &written);
    assert!(fact(
        &commands,
        |fact| matches!(fact, Fact::Summarized(event) if event.messages == 4)
    ));
    assert!(fact(
        &commands,
        |fact| matches!(fact, Fact::Renamed(event) if event.automatic)
    ));
    let (_, commands) = world.apply(&state, &submitted(4, "turn 4"));
    let messages = &model_call(&commands).messages;
    assert!(
        messages[0].content.contains("They took two turns."),
        "{messages:?}"
    );
    assert_eq!(messages[1].content, "turn 3");
}

#[test]
fn what_is_said_meanwhile_is_kept() {
    let world = world();
    let (state, summary) = three_turns(&world);
    let (state, commands) = world.apply(&state, &submitted(4, "turn 4"));
    assert!(state.summarizing.is_some(), "one at a time");
    let (state, commands) = world.apply(&state, &answer(&commands, "answer 4"));
    assert!(
        commands
            .iter()
            .all(|command| !matches!(command, Command::Infer { .. }))
    );
    let (state, _) = world.apply(&state, &answer(&summary, "Two turns."));
    let said: Vec<&str> = state
        .messages
        .iter()
        .map(|one| one.content.as_str())
        .collect();
    assert_eq!(said, ["turn 3", "answer 3", "turn 4", "answer 4"]);
}

#[test]
fn an_empty_summary_replaces_nothing_and_is_asked_for_again() {
    let world = world();
    let (state, commands) = three_turns(&world);
    let (state, _) = world.apply(&state, &answer(&commands, "Title: Nothing"));
    assert_eq!(state.messages.len(), 6);
    let (state, commands) = world.apply(&state, &submitted(4, "turn 4"));
    let (_, commands) = world.apply(&state, &answer(&commands, "answer 4"));
    assert_eq!(model_call(&commands).purpose, Purpose::Summary);
}

#[test]
fn a_persons_title_stays() {
    let world = world();
    let (state, summary) = three_turns(&world);
    let rename = Request::Rename {
        title: " Mine ".to_owned(),
    };
    let (state, commands) = world.apply(&state, &asked(9, rename));
    assert!(fact(
        &commands,
        |fact| matches!(fact, Fact::Renamed(event) if !event.automatic && event.title == "Mine")
    ));
    let (state, commands) = world.apply(&state, &answer(&summary, "Title: Turns\n\nTwo turns."));
    assert!(!fact(&commands, |fact| matches!(fact, Fact::Renamed(_))));
    assert_eq!(state.title.map(|title| title.text).as_deref(), Some("Mine"));
}

#[test]
fn a_model_sees_no_more_than_its_budget() {
    let mut world = World::default();
    world.global().context_tokens = Some([("*".to_owned(), 120)].into());
    let (mut state, mut commands) = world.first(&"x".repeat(160));
    for n in 2..=4 {
        (state, _) = world.apply(&state, &answer(&commands, "ok"));
        (state, commands) = world.apply(&state, &submitted(n, &"y".repeat(160)));
    }
    let messages = &model_call(&commands).messages;
    let persons = messages.iter().filter(|message| message.role == Role::User);
    assert_eq!(persons.count(), 2, "{messages:?}");
}
