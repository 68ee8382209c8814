//! Which tools a run may use, and what is made of their arguments: with labelled samples of a
//! calendar and a commute tool.

use nexus_contracts::chat::ToolSpec;
use nexus_contracts::events::{InferenceRequested, MessageCompleted, ToolRequested};
use nexus_contracts::settings::ToolPolicy;
use nexus_contracts::{ConversationId, Extra};
use nexus_orchestrator::core::Command;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, asks_for};

/// Samples, made for tests: no calendar and no map is behind them.
fn samples() -> World {
    let mut world = World::default();
    let commute = json!({
        "type": "object",
        "properties": {
            "destination": {
                "type": "string", "description": "Where to go: an address or a name.",
                "x-alias": "place", "x-alias-words": ["home", "office", "work"]
            },
            "arrive_by": { "type": "string" },
        },
        "required": ["destination"],
    });
    let calendar = json!({
        "type": "object", "properties": { "day": { "type": "string" } }, "required": ["day"],
    });
    for (name, parameters) in [("sample_commute", commute), ("sample_calendar", calendar)] {
        let spec = ToolSpec {
            name: name.to_owned(),
            description: "SAMPLE for tests".to_owned(),
            parameters,
            extra: Extra::new(),
        };
        world.environment.tools.insert(name.to_owned(), spec.into());
    }
    world
}

fn called(commands: &[Command]) -> Option<&ToolRequested> {
    commands.iter().find_map(|command| match command {
        Command::CallTool { event, .. } => Some(event),
        _ => None,
    })
}

fn completed(commands: &[Command]) -> Option<&MessageCompleted> {
    commands.iter().find_map(|command| match command {
        Command::Complete { event, .. } => Some(event.as_ref()),
        _ => None,
    })
}

fn offered(commands: &[Command]) -> Vec<&str> {
    let asked: Option<&InferenceRequested> = commands.iter().find_map(|command| match command {
        Command::Infer { event, .. } => Some(event.as_ref()),
        _ => None,
    });
    let tools = &asked.expect("a model is asked").tools;
    tools.iter().map(|tool| tool.name.as_str()).collect()
}

const LEAVE: &str = "When should I leave for the office?";

#[test]
fn a_name_somebody_gave_to_a_place_is_resolved_before_the_call() {
    let mut world = samples();
    let places = [("office".to_owned(), "1 Main Street, Springfield".to_owned())];
    world.global().aliases = Some([("place".to_owned(), places.into())].into());
    let (state, commands) = world.first(LEAVE);
    let arguments = r#"{"destination":"the office","arrive_by":"09:00"}"#;
    let (_, commands) = world.apply(&state, &asks_for(&commands, "sample_commute", arguments));
    let request = called(&commands).expect("the tool is called");
    let meant: Value = serde_json::from_str(&request.arguments).unwrap();
    assert_eq!(meant["destination"], "1 Main Street, Springfield");
    assert_eq!(meant["arrive_by"], "09:00");
}

#[test]
fn a_name_nobody_explained_becomes_one_question() {
    let world = samples();
    let (state, commands) = world.first(LEAVE);
    let arguments = r#"{"destination":"the office"}"#;
    let (state, commands) = world.apply(&state, &asks_for(&commands, "sample_commute", arguments));
    assert_eq!(called(&commands), None);
    let event = completed(&commands).expect("the person is asked");
    let asked = event.clarification.as_ref().expect("for something");
    assert_eq!(
        (asked.tool.as_str(), asked.argument.as_str()),
        ("sample_commute", "destination")
    );
    assert!(event.text.contains("Where to go"), "{}", event.text);
    assert_eq!(event.text.matches('?').count(), 1, "{}", event.text);
    assert!(
        state.active.is_none(),
        "the run is over; the answer is another message"
    );
}

#[test]
fn a_day_that_is_missing_is_asked_for() {
    let world = samples();
    let (state, commands) = world.first("What do I have to do?");
    let (_, commands) = world.apply(&state, &asks_for(&commands, "sample_calendar", "{}"));
    let event = completed(&commands).expect("the person is asked");
    assert!(event.text.contains("day"), "{}", event.text);
}

#[test]
fn what_is_switched_off_or_stopped_is_neither_offered_nor_called() {
    let mut world = samples();
    let here = ConversationId(Uuid::nil());
    world.environment.off = ["sample_commute".to_owned(), format!("{here}/current_time")].into();
    let broken = world.environment.tools.get_mut("sample_calendar").unwrap();
    broken.stopped = Some("no key".to_owned());
    let (state, commands) = world.first("go");
    assert_eq!(offered(&commands), ["math_solver"]);
    let (_, commands) = world.apply(&state, &asks_for(&commands, "current_time", "{}"));
    assert_eq!(called(&commands), None);
}

#[test]
fn a_switch_of_another_conversation_says_nothing() {
    let mut world = World::default();
    let other = ConversationId(Uuid::from_u128(9));
    world.environment.off = [format!("{other}/current_time")].into();
    let (_, commands) = world.first("go");
    assert_eq!(offered(&commands), ["current_time", "math_solver"]);
}

#[test]
fn a_tool_that_says_ask_is_asked_for_unless_it_is_named() {
    let mut world = World::default();
    let careful = world.environment.tools.get_mut("math_solver").unwrap();
    careful.policy = ToolPolicy::Ask;
    let call = |world: &World| {
        let (state, commands) = world.first("go");
        let (_, commands) = world.apply(&state, &asks_for(&commands, "math_solver", "{}"));
        called(&commands).is_some()
    };
    assert!(!call(&world));
    let policy = |name: &str| Some([(name.to_owned(), ToolPolicy::Auto)].into());
    world.global().tool_policy = policy("*");
    assert!(
        !call(&world),
        "what is said of all does not loosen what a tool says of itself"
    );
    world.global().tool_policy = policy("math_solver");
    assert!(call(&world));
}
