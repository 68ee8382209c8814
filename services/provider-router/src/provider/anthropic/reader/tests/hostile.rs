//! Answers as they should not be.

use nexus_contracts::chat::FinishReason;
use serde_json::json;

use super::super::{AnthropicReader, Reader, WireError};
use super::{answer, call, close, end, input, read, said, stop, text, tool};

#[test]
fn a_call_that_was_cut_off_is_none() {
    // At the token limit the API sends no `content_block_stop`.
    let mut events = said("I'll write it.");
    events.extend([tool(1, "a", "make_file"), input(1, r#"{"name": "t"#)]);
    events.extend([stop("max_tokens"), end()]);
    let cut = answer(&events).unwrap();
    assert!(cut.message.tool_calls.is_empty());
    assert_eq!(cut.finish_reason, FinishReason::Length);
    assert_eq!(cut.message.content, "I'll write it.");
    // One that is whole is there, with the one behind it cut off.
    let events = [
        tool(0, "a", "f"),
        close(0),
        tool(1, "b", "g"),
        stop("max_tokens"),
    ];
    let calls = answer(&events).unwrap().message.tool_calls;
    assert_eq!(calls, [call("a", "f", "{}")]);
    // A server that closes nothing, but stopped for its tools.
    let calls = answer(&[tool(0, "a", "f"), input(0, "{}"), stop("tool_use")]);
    assert_eq!(calls.unwrap().message.tool_calls.len(), 1);
    // Nothing but half a call, and no reason.
    let events = [tool(0, "a", "f"), input(0, "{"), end()];
    assert_eq!(answer(&events), Err(WireError::Unfinished));
}

#[test]
fn a_call_without_a_name_is_an_error() {
    let events = [tool(0, "a", ""), close(0), stop("tool_use")];
    assert_eq!(answer(&events), Err(WireError::NamelessCall));
    let events = [input(0, "{}"), stop("tool_use")];
    assert_eq!(answer(&events), Err(WireError::NamelessCall));
}

#[test]
fn errors_are_errors_wherever_they_come() {
    let overloaded = json!({"type": "error", "request_id": "req_1",
        "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let reported = |code: &str, message: &str| WireError::Reported {
        code: code.to_owned(),
        message: message.to_owned(),
    };
    let mut events = said("Hi");
    events.push(overloaded.clone());
    let expected = Err(reported("overloaded_error", "Overloaded"));
    assert_eq!(answer(&events), expected);
    assert_eq!(answer(&[overloaded]), expected);
    let foreign = json!({"error": {"type": "api_error", "message": "m"}});
    assert_eq!(answer(&[foreign]), Err(reported("api_error", "m")));
    assert!(matches!(read(["<html>"]), Err(WireError::NotJson(_))));
    assert!(matches!(read(["[1]"]), Err(WireError::NotJson(_))));
}

#[test]
fn sloppy_servers_are_read_too() {
    // One index for every block, none at all, and blocks that were never opened.
    let mut events = said("Hi");
    events.extend([tool(0, "a", "f"), input(0, "{}"), close(0)]);
    events.push(json!({"type": "content_block_start",
        "content_block": {"type": "tool_use", "id": "b", "name": "g"}}));
    events.push(json!({"type": "content_block_delta",
        "delta": {"type": "input_json_delta", "partial_json": "{\"x\":1}"}}));
    events.push(json!({"type": "content_block_stop"}));
    events.extend([text(7, " there"), stop("end_turn"), end()]);
    let answer = answer(&events).unwrap();
    assert_eq!(answer.message.content, "Hi there");
    assert_eq!(
        answer.message.tool_calls,
        [call("a", "f", "{}"), call("b", "g", r#"{"x":1}"#)]
    );
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    // Nothing counts behind the end.
    let mut reader = AnthropicReader::new("seed");
    reader.push(&end().to_string()).unwrap();
    assert_eq!(reader.push("[DONE]"), Ok(String::new()));
    assert!(reader.is_done() && reader.is_finished());
}

#[test]
fn an_answer_has_a_limit() {
    let much = "x".repeat(1024 * 1024);
    for piece in [text(0, &much), input(0, &much)] {
        let mut reader = AnthropicReader::new("seed");
        let piece = piece.to_string();
        let failed = (0..10).find_map(|_| reader.push(&piece).err());
        assert_eq!(failed, Some(WireError::TooLong));
    }
}
