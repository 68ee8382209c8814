//! What becomes of an answer.

use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, Usage};
use serde_json::{Value, json};

use super::super::{NOTE, Read, again, read};
use super::{asked, spec};
use crate::assembler::Answer;
use crate::toolcalls::Tool;

fn answer(text: &str, finish_reason: FinishReason) -> Answer {
    Answer {
        message: ChatMessage::text(Role::Assistant, text),
        finish_reason,
        usage: Usage::of(10, 2),
        model: None,
        metadata: [].into(),
    }
}

fn read_of(answer: Answer) -> Read {
    let schema = json!({"type": "object", "properties": {"expression": {"type": "string"}}});
    let tools = ["math_solver", "now"].map(|name| Tool {
        name,
        parameters: &schema,
    });
    read(answer, &tools, "c1")
}

fn done(text: &str) -> Read {
    read_of(answer(text, FinishReason::Stop))
}

fn note(read: &Read) -> Value {
    read.answer.metadata.get(NOTE).cloned().unwrap_or_default()
}

const CALL: &str = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";

#[test]
fn calls_are_put_where_calls_belong() {
    let text = format!(
        "Two things.\n{CALL}\n{{'name': 'math_solver', 'arguments': {{'expression': '1+1',}}}}"
    );
    let read = done(&text);
    let message = &read.answer.message;
    assert_eq!(message.content, "Two things.");
    let calls = message.tool_calls.iter();
    let calls: Vec<_> = calls
        .map(|call| [&*call.id, &*call.name, &*call.arguments])
        .collect();
    assert_eq!(
        calls,
        [
            ["call_c1_0", "now", "{}"],
            ["call_c1_1", "math_solver", r#"{"expression":"1+1"}"#],
        ]
    );
    assert_eq!(read.answer.finish_reason, FinishReason::ToolCalls);
    assert_eq!(read.refused, None);
    let note = note(&read);
    assert_eq!(note["formats"], json!(["tagged", "bare"]));
    let repairs = note["repairs"].as_array().unwrap();
    let words = repairs.iter().map(|one| (&one["call"], &one["repair"]));
    let words: Vec<_> = words.collect();
    assert_eq!(
        words,
        [
            (&json!(1), &json!("trailing_comma")),
            (&json!(1), &json!("single_quotes")),
        ]
    );
    assert!(repairs[0]["detail"].as_str().unwrap().contains("comma"));
}

#[test]
fn an_answer_without_calls_is_left_as_it_is() {
    for text in [
        "",
        "Hello.",
        "A `<tool_call>` is a mark.",
        "{\"name\": \"x\"}\n",
    ] {
        let asked = answer(text, FinishReason::Stop);
        let read = read_of(asked.clone());
        assert_eq!((read.answer, read.refused), (asked, None));
    }
}

#[test]
fn what_the_server_has_read_itself_stays() {
    let mut native = answer(CALL, FinishReason::ToolCalls);
    native.message.tool_calls = vec![ToolCall {
        id: "x".to_owned(),
        name: "now".to_owned(),
        arguments: "{}".to_owned(),
    }];
    let read = read_of(native.clone());
    assert_eq!((read.answer, read.refused), (native, None));
}

#[test]
fn a_call_that_was_cut_off_is_none_and_is_not_asked_for_again() {
    let cut =
        "Wait.\n<tool_call>\n{\"name\": \"math_solver\", \"arguments\": {\"expression\": \"1+1\"}";
    for reason in [
        FinishReason::Length,
        FinishReason::ContentFilter,
        FinishReason::Other,
    ] {
        let read = read_of(answer(cut, reason));
        assert_eq!(read.answer.message.content, cut, "nothing is lost");
        assert!(read.answer.message.tool_calls.is_empty());
        assert_eq!(read.answer.finish_reason, reason);
        assert_eq!(note(&read)["refusals"][0]["code"], "cut_off");
        assert_eq!(read.refused, None);
    }
    // A whole call before the cut is one.
    let read = read_of(answer(&format!("{CALL}\n{cut}"), FinishReason::Length));
    assert_eq!(read.answer.message.tool_calls.len(), 1);
    assert_eq!(read.answer.finish_reason, FinishReason::Length);
}

#[test]
fn what_cannot_be_read_is_told_to_the_model_with_all_it_said() {
    let text = "Wait.\n\n<tool_call>\n{\"name\": \"nowe\", \"arguments\": {}}\n</tool_call> So.";
    let read = done(text);
    assert_eq!(read.answer.message.content, text);
    let refused = read.refused.unwrap();
    assert_eq!((&*refused.said, &*refused.kept), (text, "Wait."));
    assert!(
        refused.words.contains("did you mean `now`?"),
        "{}",
        refused.words
    );
    let before = vec![ChatMessage::text(Role::User, "When?")];
    let before = asked(before, vec![spec("now", "The time.")]);
    let again = again(&before, &refused);
    assert_eq!((again.messages.len(), &again.tools), (3, &before.tools));
    assert_eq!(again.messages[1], ChatMessage::text(Role::Assistant, text));
    assert!(again.messages[2].content.contains(&refused.words));
}

#[test]
fn the_second_answer_is_the_rest_of_the_first() {
    let text = "Wait.\n\n<tool_call>\n{\"name\": \"nowe\", \"arguments\": {}}\n</tool_call> So.";
    let first = done(text);
    let refused = first.refused.unwrap();
    let second = done(CALL).behind(&refused, "\n\n", &first.answer);
    assert_eq!(second.message.content, "Wait.");
    assert_eq!(second.message.tool_calls.len(), 1);
    let note = &second.metadata[NOTE];
    assert_eq!(note["formats"], json!(["tagged"]));
    assert_eq!(note["asked_again"]["refusals"][0]["code"], "unknown_tool");
    let said = note["asked_again"]["said"].as_str().unwrap();
    assert!(
        said.starts_with("<tool_call>") && said.ends_with("So."),
        "{said}"
    );
    let plain = done("It is noon.").behind(&refused, "\n\n", &first.answer);
    assert_eq!(plain.message.content, "Wait.\n\nIt is noon.");
    assert!(plain.metadata[NOTE]["refusals"].is_null());
}

#[test]
fn what_stands_on_an_invented_result_is_dropped_and_said() {
    let invented = "<tool_response>\n{\"content\": \"noon\"}\n</tool_response>\nIt is noon.";
    let read = done(&format!("Wait.\n{CALL}\n{invented}\n{CALL}"));
    assert_eq!(read.answer.message.content, "Wait.");
    assert_eq!(read.answer.message.tool_calls.len(), 1);
    let said = note(&read)["invented"].as_str().unwrap().to_owned();
    assert!(said.starts_with(invented), "{said}");
    // Not where the mark stands in an argument, nor without a call before it.
    let inside = format!(
        "{CALL}\n<tool_call>\n{{\"name\": \"math_solver\", \"arguments\": {{\"expression\": \"<tool_response>\"}}}}\n</tool_call>"
    );
    let read = done(&inside);
    assert_eq!(read.answer.message.tool_calls.len(), 2);
    assert!(note(&read)["invented"].is_null());
    let alone = "The mark is <tool_response> there.";
    assert_eq!(done(alone).answer.message.content, alone);
}
