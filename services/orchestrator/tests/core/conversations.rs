//! What is done with conversations as a whole.

use nexus_contracts::conversation::{ConversationDocument, FORMAT, SaidMessage, Speaker};
use nexus_contracts::events::MessageSubmitted;
use nexus_contracts::settings::Privacy;
use nexus_contracts::{ConversationId, Extra, RunId, UserId};
use nexus_orchestrator::core::replay::before_run;
use nexus_orchestrator::core::{Branch, Command, Fact, Input, Request, State};
use uuid::Uuid;

use crate::world::{World, answer, asked, asks, header, submitted};

const CHILD: ConversationId = ConversationId(Uuid::from_u128(77));

fn somebody_else(input: Input) -> Input {
    match input {
        Input::Asked(mut asked) => {
            asked.header.user_id = UserId(Uuid::from_u128(99));
            Input::Asked(asked)
        }
        other => other,
    }
}

fn branch(run: RunId, base: Option<State>) -> Input {
    let message = MessageSubmitted {
        text: "something else".to_owned(),
        ..MessageSubmitted::default()
    };
    asked(
        5,
        Request::Branch(Box::new(Branch {
            parent: header(1).conversation_id,
            run_id: run,
            message,
            base: base.map(Box::new),
        })),
    )
}

#[test]
fn nobody_else_may_know_that_a_conversation_exists() {
    let world = World::default();
    let (state, _) = world.first("mine");
    let requests = [
        Request::Rename {
            title: "x".to_owned(),
        },
        Request::Delete,
        Request::Cancel {
            run_id: header(1).run_id,
        },
    ];
    for request in requests {
        let input = somebody_else(asked(9, request));
        assert_eq!(world.refused(&state, &input), "unknown_conversation");
    }
    let message = somebody_else(submitted(2, "let me in"));
    assert_eq!(world.refused(&state, &message), "unknown_conversation");
}

#[test]
fn a_branch_remembers_what_came_before_and_leaves_its_parent_alone() {
    let world = World::default();
    let (state, commands) = world.first("one");
    let (state, _) = world.apply(&state, &answer(&commands, "first"));
    let (state, _) = world.apply(&state, &submitted(2, "two"));
    let base = before_run(&state, header(2).run_id);
    assert_eq!(base.as_ref().map(|base| base.messages.len()), Some(2));
    assert_eq!(before_run(&state, header(1).run_id), None);
    let (child, commands) = world.apply(&State::new(CHILD), &branch(header(2).run_id, base));
    let said: Vec<&str> = child
        .messages
        .iter()
        .map(|one| one.content.as_str())
        .collect();
    assert_eq!(said, ["one", "first", "something else"]);
    assert_eq!(child.conversation_id, CHILD);
    assert!(matches!(commands[0], Command::Accept { .. }));
    assert!(
        commands
            .iter()
            .any(|command| matches!(command, Command::Infer { .. }))
    );
    let told = commands.iter().any(|command| {
        matches!(command, Command::Tell { fact, .. }
        if matches!(fact.as_ref(), Fact::Branched(event) if event.conversation_id == CHILD))
    });
    assert!(told, "{commands:?}");
}

#[test]
fn a_branch_from_nowhere_or_from_somebody_elses_is_refused_alike() {
    let world = World::default();
    let fresh = State::new(CHILD);
    assert_eq!(
        world.refused(&fresh, &branch(header(2).run_id, None)),
        "unknown_run"
    );
    let (state, _) = world.first("one");
    let base = before_run(&state, header(1).run_id);
    // The first message of a conversation is its owner's.
    let base = base.map(|base| State {
        owner: state.owner,
        ..base
    });
    let input = branch(header(1).run_id, base);
    assert_eq!(
        world.refused(&fresh, &somebody_else(input.clone())),
        "unknown_run"
    );
    assert_eq!(world.refused(&fresh, &input), "taken");
}

#[test]
fn deleting_ends_what_goes_on_and_leaves_nothing() {
    let world = World::default();
    let (state, commands) = world.first("secret");
    let (state, _) = world.apply(&state, &asks(&commands, &["math_solver"]));
    let (state, _) = world.apply(&state, &submitted(2, "secret too"));
    let (state, commands) = world.apply(&state, &asked(9, Request::Delete));
    assert!(commands.contains(&Command::Erase));
    let cancelled = commands.iter().filter(|command| {
        matches!(command, Command::Fail { event, .. }
        if event.code == "cancelled")
    });
    assert_eq!(cancelled.count(), 2);
    let owner = state.owner;
    let nothing = State {
        owner,
        deleted: true,
        ..State::new(state.conversation_id)
    };
    assert_eq!(state, nothing);
    assert_eq!(
        world.refused(&state, &submitted(3, "hello?")),
        "unknown_conversation"
    );
    assert_eq!(
        world.refused(&state, &asked(9, Request::Delete)),
        "unknown_conversation"
    );
}

fn document(texts: &[&str]) -> ConversationDocument {
    let said = texts.iter().enumerate().map(|(at, text)| SaidMessage {
        role: if at % 2 == 0 {
            Speaker::User
        } else {
            Speaker::Assistant
        },
        text: (*text).to_owned(),
        at: None,
        provider: None,
        model: None,
        extra: Extra::new(),
    });
    ConversationDocument {
        format: FORMAT.to_owned(),
        version: 1,
        title: Some("Elsewhere".to_owned()),
        created_at: None,
        messages: said.collect(),
        extra: Extra::new(),
    }
}

#[test]
fn an_imported_conversation_goes_on() {
    let world = World::default();
    let silent = Request::Import(Box::new(document(&["hi", ""])));
    let (state, _) = world.apply(&State::new(CHILD), &asked(9, silent));
    assert_eq!(state.messages.len(), 2, "an agent may have said nothing");
    let import = Request::Import(Box::new(document(&["hi", "hello"])));
    let (state, commands) = world.apply(&State::new(CHILD), &asked(9, import));
    assert!(matches!(
        commands.as_slice(),
        [Command::Accept { .. }, Command::Tell { .. }]
    ));
    let (_, commands) = world.apply(&state, &submitted(2, "go on"));
    let Some(Command::Infer { event, .. }) = commands.last() else {
        panic!("{commands:?}")
    };
    let said: Vec<&str> = event
        .messages
        .iter()
        .map(|one| one.content.as_str())
        .collect();
    assert_eq!(said, ["be brief", "hi", "hello", "go on"]);
}

#[test]
fn a_document_that_cannot_be_taken_is_refused_with_the_place() {
    let world = World::default();
    let fresh = State::new(CHILD);
    let newer = ConversationDocument {
        version: 2,
        ..document(&["hi"])
    };
    for bad in [document(&[]), document(&["hi", "hello", " "]), newer] {
        let import = Request::Import(Box::new(bad));
        assert_eq!(world.refused(&fresh, &asked(9, import)), "bad_request");
    }
}

#[test]
fn settings_of_a_conversation_hold_for_its_runs() {
    let world = World::default();
    let (state, commands) = world.first("one");
    let (state, _) = world.apply(&state, &answer(&commands, "first"));
    let settings = nexus_contracts::settings::Settings {
        instructions: Some("in verse".to_owned()),
        ..nexus_contracts::settings::Settings::default()
    };
    let configure = Request::Configure(Box::new(settings));
    let (state, _) = world.apply(&state, &asked(9, configure));
    let (_, commands) = world.apply(&state, &submitted(2, "two"));
    let Some(Command::Infer { event, .. }) = commands.last() else {
        panic!("{commands:?}")
    };
    assert_eq!(event.messages[0].content, "be brief\n\nin verse");
}

/// Where the model call among these commands may go.
fn privacy(commands: &[Command]) -> Option<Privacy> {
    commands.iter().find_map(|command| match command {
        Command::Infer { event, .. } => Some(event.privacy),
        _ => None,
    })
}

#[test]
fn what_was_said_in_confidence_stays_so_in_every_later_prompt() {
    let world = World::default();
    let state = State::new(header(1).conversation_id);
    let mut message = MessageSubmitted {
        text: "my diagnosis".to_owned(),
        ..MessageSubmitted::default()
    };
    message.settings.privacy = Some(Privacy::Sensitive);
    let confided = asked(1, Request::Submit(Box::new(message)));
    let (state, commands) = world.apply(&state, &confided);
    assert_eq!(privacy(&commands), Some(Privacy::Sensitive));
    let (state, _) = world.apply(&state, &answer(&commands, "I see."));
    // Not marked, but its prompt repeats what was.
    let (state, commands) = world.apply(&state, &submitted(2, "thanks"));
    assert_eq!(privacy(&commands), Some(Privacy::Sensitive));
    // A branch remembers the same.
    let (fresh, base) = (State::new(CHILD), before_run(&state, header(2).run_id));
    let (_, commands) = world.apply(&fresh, &branch(header(2).run_id, base));
    assert_eq!(privacy(&commands), Some(Privacy::Sensitive));
}
