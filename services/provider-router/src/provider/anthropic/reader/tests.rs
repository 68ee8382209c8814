//! Answers as the API sends them.

mod hostile;

use nexus_contracts::chat::{FinishReason, ToolCall, Usage};
use serde_json::{Value, json};

use super::{Answer, AnthropicReader, Reader, WireError};

/// A tool call behind some text, in the shape of Anthropic's documentation of its stream.
const TOOL_STREAM: &str = r#"
event: message_start
data: {"type":"message_start","message":{"id":"msg_019Q","type":"message","role":"assistant","model":"claude-opus-4-8","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":377,"cache_creation_input_tokens":100,"cache_read_input_tokens":23,"output_tokens":1,"service_tier":"standard"}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"I"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"'ll look it up."}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_01NR","name":"get_weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"locati"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"on\": \"P"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"aris\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":65}}

event: message_stop
data: {"type":"message_stop"}
"#;

fn read<'a>(data: impl IntoIterator<Item = &'a str>) -> Result<(Answer, String), WireError> {
    let mut reader = Box::new(AnthropicReader::new("seed"));
    let mut heard = String::new();
    for data in data {
        heard.push_str(&reader.push(data)?);
    }
    Ok((reader.finish()?, heard))
}

fn answer(events: &[Value]) -> Result<Answer, WireError> {
    let data: Vec<String> = events.iter().map(Value::to_string).collect();
    let (answer, heard) = read(data.iter().map(String::as_str))?;
    assert_eq!(heard, answer.message.content);
    Ok(answer)
}

fn data_of(stream: &str) -> impl Iterator<Item = &str> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads better where it is called"
)]
fn open(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads better where it is called"
)]
fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn text(index: u64, text: &str) -> Value {
    delta(index, json!({"type": "text_delta", "text": text}))
}

fn input(index: u64, piece: &str) -> Value {
    delta(
        index,
        json!({"type": "input_json_delta", "partial_json": piece}),
    )
}

fn tool(index: u64, id: &str, name: &str) -> Value {
    open(
        index,
        json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
    )
}

fn close(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn stop(reason: &str) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
        "usage": {"output_tokens": 5}})
}

fn end() -> Value {
    json!({"type": "message_stop"})
}

fn said(words: &str) -> Vec<Value> {
    vec![
        open(0, json!({"type": "text", "text": ""})),
        text(0, words),
        close(0),
    ]
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

#[test]
fn a_recorded_stream_becomes_text_and_a_call() {
    let (answer, heard) = read(data_of(TOOL_STREAM)).unwrap();
    assert_eq!(heard, "I'll look it up.");
    assert_eq!(answer.message.content, heard);
    let expected = call("toolu_01NR", "get_weather", r#"{"location": "Paris"}"#);
    assert_eq!(answer.message.tool_calls, [expected]);
    assert!(answer.message.extra.is_empty());
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    // What the cache gave and took is part of the prompt too.
    let usage = Usage {
        cached_input_tokens: 23,
        ..Usage::of(500, 65)
    };
    assert_eq!(answer.usage, usage);
    assert_eq!(answer.model.as_deref(), Some("claude-opus-4-8"));
    assert_eq!(
        serde_json::to_value(&answer.metadata).unwrap(),
        json!({"usage": {"cache_creation_input_tokens": 100, "cache_read_input_tokens": 23,
            "service_tier": "standard"}})
    );
}

#[test]
fn a_recorded_stream_cut_short_is_never_a_success() {
    let data: Vec<&str> = data_of(TOOL_STREAM).collect();
    let finished = data.len() - 2;
    for kept in 0..=finished {
        let read = read(data.iter().copied().take(kept));
        assert_eq!(read, Err(WireError::Unfinished), "{kept}");
    }
    // Only `message_stop` is missing.
    assert!(read(data.iter().copied().take(finished + 1)).is_ok());
}

#[test]
fn a_whole_answer_reads_like_a_stream() {
    let whole = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "Eu"},
            {"type": "text", "text": "Hi"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "t2", "name": "g", "input": {}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": null}});
    let answer = answer(&[whole]).unwrap();
    assert_eq!(answer.message.content, "Hi");
    assert_eq!(
        answer.message.tool_calls,
        [call("t1", "f", r#"{"x":1}"#), call("t2", "g", "{}")]
    );
    assert_eq!(
        serde_json::to_value(&answer.message.extra).unwrap(),
        json!({"thoughts": "hm",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "Eu"}]})
    );
    assert_eq!(answer.usage, Usage::of(3, 4));
    assert!(answer.metadata.is_empty());
}

#[test]
fn calls_side_by_side_are_put_together_by_index() {
    let events = [
        tool(0, "a", "f"),
        tool(1, "", "g"),
        input(1, r#"{"q":""#),
        // A character in two escapes, torn between them.
        input(0, r#"{"q":"\ud83e"#),
        input(1, "é\"}"),
        input(0, r#"\udd80"}"#),
        json!({"type": "something_new", "index": 0}),
        close(1),
        close(0),
        tool(2, "c", "h"),
        input(2, ""),
        close(2),
        tool(3, "d", "i"),
        input(3, "{\"broken\": "),
        close(3),
        stop("tool_use"),
        end(),
    ];
    let calls = answer(&events).unwrap().message.tool_calls;
    assert_eq!(
        calls,
        [
            call("a", "f", r#"{"q":"\ud83e\udd80"}"#),
            call("call_seed_1", "g", r#"{"q":"é"}"#),
            call("c", "h", "{}"),
            call("d", "i", "{\"broken\": "),
        ]
    );
    let parsed: Value = serde_json::from_str(&calls[0].arguments).unwrap();
    assert_eq!(parsed, json!({"q": "🦀"}));
}

#[test]
fn thinking_is_kept_whole() {
    let mut events = vec![
        open(
            0,
            json!({"type": "thinking", "thinking": "", "signature": ""}),
        ),
        delta(0, json!({"type": "thinking_delta", "thinking": "Let "})),
        delta(0, json!({"type": "thinking_delta", "thinking": "me see"})),
        delta(0, json!({"type": "signature_delta", "signature": "EqQB"})),
        close(0),
        open(1, json!({"type": "redacted_thinking", "data": "Emwk"})),
        close(1),
        open(2, json!({"type": "text", "text": ""})),
        text(2, "Four."),
        close(2),
    ];
    events.push(stop("end_turn"));
    let answer = answer(&events).unwrap();
    assert_eq!(answer.message.content, "Four.");
    assert_eq!(
        serde_json::to_value(&answer.message.extra).unwrap(),
        json!({"thoughts": "Let me see", "thinking_blocks": [
            {"type": "thinking", "thinking": "Let me see", "signature": "EqQB"},
            {"type": "redacted_thinking", "data": "Emwk"}]})
    );
}

#[test]
fn what_has_no_place_elsewhere_is_kept_as_it_came() {
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "srv1",
        "content": [{"type": "web_search_result", "url": "https://example.org"}]});
    let source = json!({"type": "web_search_result_location", "url": "https://example.org"});
    let events = [
        open(
            0,
            json!({"type": "server_tool_use", "id": "srv1", "name": "web_search", "input": {}}),
        ),
        input(0, r#"{"query": "#),
        input(0, r#""rust"}"#),
        close(0),
        open(1, found.clone()),
        close(1),
        open(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "citations_delta", "citation": source})),
        text(2, "It is a language."),
        close(2),
        stop("end_turn"),
    ];
    let answer = answer(&events).unwrap();
    assert_eq!(answer.message.content, "It is a language.");
    assert!(answer.message.tool_calls.is_empty());
    assert_eq!(
        serde_json::to_value(&answer.message.extra).unwrap(),
        json!({"citations": [source], "blocks": [
            {"type": "server_tool_use", "id": "srv1", "name": "web_search",
                "input": {"query": "rust"}},
            found,
            {"type": "text", "text": "It is a language.", "citations": [source]}]})
    );
}

#[test]
fn thinking_between_the_blocks_keeps_its_place() {
    let thinking = |words: &str| json!({"type": "thinking", "thinking": words, "signature": "E"});
    let whole = json!({"type": "message", "stop_reason": "tool_use", "content": [
        thinking("one"), {"type": "text", "text": "First."}, thinking("two"),
        {"type": "tool_use", "id": "t", "name": "f", "input": {}}]});
    let extra = answer(std::slice::from_ref(&whole)).unwrap().message.extra;
    assert_eq!(extra["blocks"], whole["content"]);
    assert_eq!(extra["thoughts"], json!("one\n\ntwo"));
    assert_eq!(
        extra["thinking_blocks"],
        json!([thinking("one"), thinking("two")])
    );
}

#[test]
fn every_reason_to_stop_has_a_word() {
    for (word, reason, kept) in [
        ("end_turn", FinishReason::Stop, false),
        ("stop_sequence", FinishReason::Stop, false),
        ("pause_turn", FinishReason::Stop, true),
        ("max_tokens", FinishReason::Length, false),
        ("model_context_window_exceeded", FinishReason::Length, true),
        ("refusal", FinishReason::ContentFilter, false),
        ("something_new", FinishReason::Other, true),
    ] {
        let mut events = said("Hi");
        events.push(stop(word));
        let answer = answer(&events).unwrap();
        assert_eq!(answer.finish_reason, reason, "{word}");
        let stated = answer.metadata.get("stop_reason");
        assert_eq!(stated, kept.then(|| json!(word)).as_ref(), "{word}");
    }
    let mut events = said("Hi");
    events.push(end());
    assert_eq!(answer(&events).unwrap().finish_reason, FinishReason::Stop);
    assert_eq!(answer(&[end()]), Err(WireError::Unfinished));
    // A refusal before the first word is an answer all the same.
    let refused = json!({"type": "message_delta", "delta": {"stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": "cyber"}}, "usage": {"output_tokens": 1}});
    let refused = answer(&[refused]).unwrap();
    assert_eq!(refused.finish_reason, FinishReason::ContentFilter);
    assert_eq!(refused.metadata["stop_details"]["category"], "cyber");
}
