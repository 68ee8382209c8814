//! Calls in text, where something goes wrong on the way.

use std::sync::Arc;

use nexus_contracts::chat::{ChatMessage, Role, ToolSpec};
use serde_json::json;

use super::{Act, World};
use crate::limits::Limits;
use crate::provider::FailureClass;
use crate::registry::models::{Model, ToolUse};
use crate::textual::NOTE;

const CALL: &str = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
const WRONG: &str = "Wait.\n<tool_call>\n{\"name\": \"nowe\", \"arguments\": {}}\n</tool_call>";
const BROKEN: FailureClass = FailureClass::Interrupted;

async fn world(scripts: &[&[Act]], limits: Limits) -> World {
    let mut world = World::limited(scripts, limits).await;
    for candidate in &mut world.plan.candidates {
        let configured = Arc::get_mut(&mut candidate.configured).unwrap();
        configured.models.push(Model {
            tools: Some(ToolUse::Text),
            ..Model::named("m")
        });
    }
    world.tools.push(ToolSpec {
        name: "now".to_owned(),
        description: "The time.".to_owned(),
        parameters: json!({"type": "object"}),
        extra: [].into(),
    });
    world
}

#[tokio::test]
async fn after_a_break_in_a_call_the_next_goes_on_from_what_was_heard() {
    let broken = Act::Fail("Wait.\n<tool_call>\n{\"name\"", BROKEN);
    let world = world(&[&[broken], &[Act::Say(0, CALL)]], Limits::default()).await;
    let came = world.ask().await;
    assert_eq!(
        (came.answer(), came.heard.as_str()),
        (("b", "Wait."), "Wait.")
    );
    let answer = &came.outcome.as_ref().unwrap().answer;
    assert_eq!(answer.message.tool_calls.len(), 1);
    assert_eq!(answer.metadata["seams"][0]["at"], 5);
    let asked = world.asked(1).messages;
    assert!(asked.contains(&ChatMessage::text(Role::Assistant, "Wait.")));
}

#[tokio::test]
async fn after_a_break_in_the_second_answer_both_parts_were_heard() {
    let acts = [Act::Say(0, WRONG), Act::Fail("It is", BROKEN)];
    let world = world(&[&acts, &[Act::Say(0, " noon.")]], Limits::default()).await;
    let came = world.ask().await;
    let text = "Wait.\n\nIt is noon.";
    assert_eq!((came.answer(), came.heard.as_str()), (("b", text), text));
    assert_eq!(
        came.outcomes(),
        ["completed", "provider_failed", "completed"]
    );
}

#[tokio::test]
async fn what_is_silent_is_read_the_same_way() {
    let acts = [Act::Say(0, WRONG), Act::Say(0, CALL)];
    let mut world = world(&[&acts], Limits::default()).await;
    world.quiet = true;
    let came = world.ask().await;
    assert_eq!(came.answer(), ("a", "Wait."));
    assert_eq!(world.calls(), [2]);
}

#[tokio::test]
async fn a_second_question_needs_the_leave_of_the_limits() {
    // Ten tokens at once, and that is what a question pays.
    let limits = Limits {
        tokens_per_minute: Some(60),
        ..Limits::default()
    };
    let world = world(&[&[Act::Say(0, WRONG), Act::Say(0, CALL)]], limits).await;
    let came = world.ask().await;
    assert_eq!((came.answer(), came.heard.as_str()), (("a", WRONG), WRONG));
    let answer = &came.outcome.as_ref().unwrap().answer;
    assert_eq!(answer.metadata[NOTE]["refusals"][0]["code"], "unknown_tool");
    assert_eq!(world.calls(), [1]);
}
