//! What providers of the three dialects say, event by event.

use serde_json::{Value, json};

/// Who speaks a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    OpenAi,
    Anthropic,
    Gemini,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::OpenAi, Kind::Anthropic, Kind::Gemini];

impl Kind {
    /// The word in `type`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// What comes before the first word.
    pub(crate) fn begun(self) -> String {
        match self {
            Self::OpenAi => openai(&json!({ "role": "assistant", "content": "" })),
            Self::Anthropic => {
                let block = json!({ "type": "text", "text": "" });
                anthropic_start() + &anthropic_open(0, &block)
            }
            Self::Gemini => String::new(),
        }
    }

    pub(crate) fn said(self, text: &str) -> String {
        match self {
            Self::OpenAi => openai(&json!({ "content": text })),
            Self::Anthropic => anthropic_piece(0, &json!({ "type": "text_delta", "text": text })),
            Self::Gemini => gemini(&json!([{ "text": text }])),
        }
    }

    /// What the model thinks, in a stream that says nothing else.
    pub(crate) fn thought(self, text: &str) -> String {
        match self {
            Self::OpenAi => openai(&json!({ "reasoning_content": text })),
            Self::Anthropic => {
                anthropic_piece(0, &json!({ "type": "thinking_delta", "thinking": text }))
            }
            Self::Gemini => gemini(&json!([{ "text": text, "thought": true }])),
        }
    }

    /// The end of an answer that is whole.
    pub(crate) fn done(self) -> String {
        match self {
            Self::OpenAi => openai_end("stop"),
            Self::Anthropic => anthropic_close(0) + &anthropic_end("end_turn"),
            Self::Gemini => gemini_end(&json!([{ "text": "" }])),
        }
    }

    pub(crate) fn answer(self, text: &str) -> String {
        self.begun() + &self.said(text) + &self.done()
    }

    /// Too many requests, in the middle of a stream. All say `slow down`.
    pub(crate) fn limited(self) -> String {
        event(&match self {
            Self::OpenAi => json!({ "error":
                { "message": "slow down", "type": "tokens", "code": "rate_limit_exceeded" } }),
            Self::Anthropic => json!({ "type": "error",
                "error": { "type": "rate_limit_error", "message": "slow down" } }),
            Self::Gemini => json!({ "error":
                { "code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED" } }),
        })
    }

    /// It cannot go on, in the middle of a stream. All say `too busy`.
    pub(crate) fn overloaded(self) -> String {
        event(&match self {
            Self::OpenAi => json!({ "error":
                { "message": "too busy", "type": "server_error", "code": null } }),
            Self::Anthropic => json!({ "type": "error",
                "error": { "type": "overloaded_error", "message": "too busy" } }),
            Self::Gemini => json!({ "error":
                { "code": 503, "message": "too busy", "status": "UNAVAILABLE" } }),
        })
    }
}

/// One event; with its name where it has one.
pub(crate) fn event(data: &Value) -> String {
    match data.get("type").and_then(Value::as_str) {
        Some(name) => format!("event: {name}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    }
}

pub(crate) fn openai(delta: &Value) -> String {
    event(&json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] }))
}

/// One piece of a call.
pub(crate) fn openai_call(piece: &Value) -> String {
    openai(&json!({ "tool_calls": [piece] }))
}

pub(crate) fn openai_end(reason: &str) -> String {
    let end = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] });
    event(&end) + "data: [DONE]\n\n"
}

pub(crate) fn anthropic_start() -> String {
    event(&json!({ "type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": [],
        "stop_reason": null, "usage": { "input_tokens": 5, "output_tokens": 1 } } }))
}

pub(crate) fn anthropic_open(index: u64, block: &Value) -> String {
    event(&json!({ "type": "content_block_start", "index": index, "content_block": block }))
}

pub(crate) fn anthropic_piece(index: u64, delta: &Value) -> String {
    event(&json!({ "type": "content_block_delta", "index": index, "delta": delta }))
}

/// More of a call's input.
pub(crate) fn anthropic_input(index: u64, json: &str) -> String {
    let delta = json!({ "type": "input_json_delta", "partial_json": json });
    anthropic_piece(index, &delta)
}

pub(crate) fn anthropic_close(index: u64) -> String {
    event(&json!({ "type": "content_block_stop", "index": index }))
}

/// A call as the stream opens it.
pub(crate) fn anthropic_tool(index: u64, id: &str, name: &str) -> String {
    let block = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
    anthropic_open(index, &block)
}

pub(crate) fn anthropic_end(reason: &str) -> String {
    let delta = json!({ "type": "message_delta", "delta": { "stop_reason": reason },
        "usage": { "output_tokens": 9 } });
    event(&delta) + &event(&json!({ "type": "message_stop" }))
}

pub(crate) fn gemini(parts: &Value) -> String {
    let content = json!({ "role": "model", "parts": parts });
    event(&json!({ "candidates": [{ "index": 0, "content": content }] }))
}

pub(crate) fn gemini_end(parts: &Value) -> String {
    let content = json!({ "role": "model", "parts": parts });
    event(&json!({ "candidates": [
        { "index": 0, "content": content, "finishReason": "STOP" }] }))
}
