//! Streams as servers really send them.

use nexus_contracts::chat::{FinishReason, ToolCall, Usage};
use proptest::prelude::{any, prop_assert_eq, proptest};
use serde_json::{Value, json};

use super::{Answer, AnswerStream, Assembler, WireError};

/// The answer in these pieces of a body, and the text that was passed on.
fn read(pieces: &[&[u8]]) -> Result<(Answer, String), WireError> {
    let mut stream = AnswerStream::of_events(Box::new(Assembler::new("seed")));
    let mut heard = String::new();
    for piece in pieces {
        heard.push_str(&stream.push(piece)?);
    }
    let (rest, answer) = stream.close()?;
    Ok((answer, heard + &rest))
}

fn assemble(chunks: &[Value]) -> Result<Answer, WireError> {
    let mut assembler = Assembler::new("seed");
    for chunk in chunks {
        assembler.push(&chunk.to_string())?;
    }
    assembler.finish()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads better where it is called"
)]
fn delta(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

fn calls(pieces: &[Value]) -> Vec<ToolCall> {
    let mut chunks: Vec<Value> = pieces
        .iter()
        .map(|piece| delta(json!({ "tool_calls": [piece] })))
        .collect();
    chunks.push(finish("tool_calls"));
    assemble(&chunks).unwrap().message.tool_calls
}

#[test]
fn calls_split_over_chunks_are_put_together_by_index() {
    let pieces = [
        json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}),
        json!({"index": 1, "id": "b", "function": {"name": "g", "arguments": "{\"x\""}}),
        json!({"index": 0, "function": {"arguments": "{\"q\":"}}),
        json!({"index": 1, "function": {"arguments": ":1}"}}),
        json!({"index": 0, "function": {"arguments": "\"é\"}"}}),
    ];
    assert_eq!(
        calls(&pieces),
        [call("a", "f", r#"{"q":"é"}"#), call("b", "g", r#"{"x":1}"#)]
    );
}

#[test]
fn calls_of_servers_that_differ() {
    // No index, several whole calls.
    assert_eq!(
        calls(&[
            json!({"id": "a", "function": {"name": "f", "arguments": "{}"}}),
            json!({"id": "b", "function": {"name": "f", "arguments": "{}"}}),
        ]),
        [call("a", "f", "{}"), call("b", "f", "{}")]
    );
    // No index, one call in pieces with and without its id.
    assert_eq!(
        calls(&[
            json!({"id": "a", "function": {"name": "f", "arguments": "{"}}),
            json!({"id": "a", "function": {"arguments": "\"x\":"}}),
            json!({"function": {"arguments": "1}"}}),
        ]),
        [call("a", "f", r#"{"x":1}"#)]
    );
    // Index 0 for every call.
    assert_eq!(
        calls(&[
            json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}),
            json!({"index": 0, "id": "b", "function": {"name": "g", "arguments": "{"}}),
            json!({"index": 0, "function": {"arguments": "}"}}),
        ]),
        [call("a", "f", "{}"), call("b", "g", "{}")]
    );
    // Neither index nor id; arguments missing, null, an object.
    assert_eq!(
        calls(&[
            json!({"function": {"name": "f"}}),
            json!({"function": {"name": "g", "arguments": null}}),
            json!({"function": {"name": "h", "arguments": {"x": 1}}}),
        ]),
        [
            call("call_seed_0", "f", "{}"),
            call("call_seed_1", "g", "{}"),
            call("call_seed_2", "h", r#"{"x":1}"#)
        ]
    );
    // Id and name in every piece.
    assert_eq!(
        calls(&[
            json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\""}}),
            json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": ":1}"}}),
        ]),
        [call("a", "f", r#"{"x":1}"#)]
    );
}

#[test]
fn a_call_without_a_name_is_an_error() {
    let chunk = delta(json!({"tool_calls": [{"index": 0, "id": "a", "function": {}}]}));
    assert_eq!(
        assemble(&[chunk, finish("stop")]),
        Err(WireError::NamelessCall)
    );
}

#[test]
fn usage_comes_last_and_unknown_fields_survive() {
    let answer = assemble(&[
        json!({"id": "chatcmpl-1", "model": "m-2026", "system_fingerprint": "fp",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": null,
                "reasoning_content": "let "}}]}),
        delta(json!({"content": "Hi", "reasoning_content": "me", "refusal": null})),
        delta(json!({"content": [{"type": "text", "text": "!"}]})),
        json!({"choices": [{"index": 1, "delta": {"content": "another choice"}}]}),
        finish("length"),
        json!({"choices": [], "citations": ["https://example.org"], "usage": {"prompt_tokens": 3,
            "completion_tokens": 2, "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 1}}}),
    ])
    .unwrap();
    assert_eq!(answer.message.content, "Hi!");
    assert_eq!(answer.message.extra["reasoning_content"], json!("let me"));
    assert!(!answer.message.extra.contains_key("refusal"));
    assert_eq!(answer.finish_reason, FinishReason::Length);
    let cached = Usage {
        cached_input_tokens: 1,
        ..Usage::of(3, 2)
    };
    assert_eq!(answer.usage, cached);
    assert_eq!(answer.model.as_deref(), Some("m-2026"));
    assert_eq!(
        serde_json::to_value(&answer.metadata).unwrap(),
        json!({"system_fingerprint": "fp", "citations": ["https://example.org"],
            "usage": {"prompt_tokens_details": {"cached_tokens": 1}}})
    );
}

#[test]
fn a_whole_message_reads_like_a_stream_of_one() {
    let whole = json!({"model": "m", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hi"}}], "usage": {"prompt_tokens": 1}});
    let answer = assemble(&[whole]).unwrap();
    assert_eq!(
        (answer.message.content.as_str(), answer.usage.input_tokens),
        ("Hi", 1)
    );
}

#[test]
fn how_a_stream_may_end() {
    let text = || delta(json!({"content": "Hi"}));
    let tool = delta(json!({"tool_calls": [{"id": "a", "function": {"name": "f"}}]}));
    assert_eq!(assemble(&[]), Err(WireError::Unfinished));
    assert_eq!(assemble(&[text()]), Err(WireError::Unfinished));
    let reason = |chunks: &[Value]| assemble(chunks).unwrap().finish_reason;
    // `[DONE]` is missing.
    assert_eq!(reason(&[text(), finish("stop")]), FinishReason::Stop);
    assert_eq!(reason(&[tool, finish("stop")]), FinishReason::ToolCalls);
    assert_eq!(reason(&[text(), finish("eos")]), FinishReason::Other);
    // The reason is missing, `[DONE]` is not.
    let done = |chunks: &str| read(&[format!("{chunks}data: [DONE]").as_bytes()]);
    let (answer, _) = done(&format!("data: {}\n\n", text())).unwrap();
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(done(""), Err(WireError::Unfinished));
}

#[test]
fn errors_in_the_stream_are_errors() {
    let error = |error: Value| assemble(&[delta(json!({"content": "H"})), error]).unwrap_err();
    let reported = |code: &str, message: &str| WireError::Reported {
        code: code.to_owned(),
        message: message.to_owned(),
    };
    assert_eq!(
        error(json!({"error": {"message": "busy", "type": "server_error", "code": 503}})),
        reported("503", "busy")
    );
    assert_eq!(error(json!({"error": "busy"})), reported("", "busy"));
    assert_eq!(
        error(json!({"choices": [{"index": 0, "error": {"message": "m", "type": "t"}}]})),
        reported("t", "m")
    );
    assert!(matches!(
        Assembler::new("s").push("<html>"),
        Err(WireError::NotJson(_))
    ));
    assert!(matches!(
        Assembler::new("s").push("[1]"),
        Err(WireError::NotJson(_))
    ));
}

#[test]
fn an_answer_has_a_limit() {
    let mut assembler = Assembler::new("s");
    let chunk = delta(json!({"content": "x".repeat(1024 * 1024)})).to_string();
    let failed = (0..10).find_map(|_| assembler.push(&chunk).err());
    assert_eq!(failed, Some(WireError::TooLong));
}

/// A stream with everything in it that is hard.
fn hard_stream(newline: &str) -> Vec<u8> {
    let events = [
        delta(json!({"role": "assistant", "content": null})),
        delta(json!({"content": "Grüße 🦀 "})),
        delta(json!({"content": "línea\n\"dos\""})),
        delta(json!({"tool_calls": [{"index": 0, "id": "a",
            "function": {"name": "f", "arguments": "{\"città\":"}}]})),
        delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"Würzburg 🏰\"}"}}]})),
        finish("tool_calls"),
        json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    ];
    let mut stream = format!(": keepalive{newline}{newline}");
    for event in events {
        stream += &format!("data: {event}{newline}{newline}: more{newline}");
    }
    (stream + "data: [DONE]" + newline + newline).into_bytes()
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same_answer(
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..40),
        newline in proptest::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let bytes = hard_stream(newline);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        let (answer, heard) = read(&pieces).unwrap();
        prop_assert_eq!(&answer.message.content, "Grüße 🦀 línea\n\"dos\"");
        prop_assert_eq!(&heard, &answer.message.content);
        let expected = call("a", "f", "{\"città\":\"Würzburg 🏰\"}");
        prop_assert_eq!(&answer.message.tool_calls, &[expected]);
        prop_assert_eq!(answer.usage, Usage::of(1, 2));
    }

    #[test]
    fn a_stream_cut_short_is_never_a_success(cut in any::<proptest::sample::Index>()) {
        let bytes = hard_stream("\n");
        let end = String::from_utf8(bytes.clone()).unwrap().find("\"finish_reason\":\"tool_calls\"");
        let read = read(&[&bytes[..cut.index(end.unwrap())]]);
        prop_assert_eq!(read, Err(WireError::Unfinished));
    }
}
