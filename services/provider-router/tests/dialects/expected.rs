//! Bodies, and what they say.

use nexus_provider_router::provider::FailureClass;
use serde_json::{Value, json};

/// A body of server-sent events.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) body: &'static str,
    /// The beginning of what says that the model was done.
    done: &'static str,
    pub(crate) answer: fn() -> Value,
}

impl Case {
    /// Up to here the model was not done.
    pub(crate) fn unfinished(&self) -> Option<usize> {
        self.body.find(self.done)
    }
}

const GREETING: &str = "Grüße, 世界 👋🏽 🌍";

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "openai-text",
        kind: "openai",
        body: include_str!("bodies/openai-text.sse"),
        done: "\"finish_reason\":\"stop\"",
        answer: || {
            json!({
                "message": {"role": "assistant", "content": GREETING},
                "finish_reason": "stop",
                "usage": {"input_tokens": 21, "output_tokens": 9, "cached_input_tokens": 16,
                    "reasoning_tokens": 4},
                "model": "gpt-5-mini-2025-08-07",
                "metadata": {"service_tier": "default", "obfuscation": "a8Jd", "usage": {
                    "prompt_tokens_details": {"cached_tokens": 16},
                    "completion_tokens_details": {"reasoning_tokens": 4},
                }},
            })
        },
    },
    Case {
        name: "openai-tools",
        kind: "openai",
        body: include_str!("bodies/openai-tools.sse"),
        done: "\"finish_reason\":\"tool_calls\"",
        answer: || {
            json!({
                "message": {"role": "assistant", "content": "", "tool_calls": [
                    {"id": "call_a", "name": "current_time", "arguments": "{}"},
                    {"id": "call_b", "name": "math_solver", "arguments": r#"{"expression":"2×3"}"#},
                ]},
                "finish_reason": "tool_calls",
                "usage": {"input_tokens": 80, "output_tokens": 31},
                "model": "gpt-5-mini",
                "metadata": {},
            })
        },
    },
    Case {
        name: "perplexity-cited",
        kind: "perplexity",
        body: include_str!("bodies/perplexity-cited.sse"),
        done: "\"finish_reason\":\"stop\"",
        answer: || {
            json!({
                "message": {"role": "assistant", "content": "Lisbon [1]."},
                "finish_reason": "stop",
                "usage": {"input_tokens": 7, "output_tokens": 4},
                "model": "sonar",
                "metadata": {
                    "citations": ["https://example.org/a", "https://example.org/b"],
                    "search_results":
                        [{"title": "A", "url": "https://example.org/a", "date": "2026-01-02"}],
                    "usage": {"search_context_size": "low"},
                },
            })
        },
    },
    Case {
        name: "anthropic-text",
        kind: "anthropic",
        body: include_str!("bodies/anthropic-text.sse"),
        done: "\"stop_reason\":\"end_turn\"",
        answer: || {
            json!({
                "message": {"role": "assistant", "content": GREETING},
                "finish_reason": "stop",
                "usage": {"input_tokens": 117, "output_tokens": 9, "cached_input_tokens": 100},
                "model": "claude-sonnet-4-5-20250929",
                "metadata": {"usage":
                    {"cache_creation_input_tokens": 5, "cache_read_input_tokens": 100}},
            })
        },
    },
    Case {
        name: "anthropic-tools",
        kind: "anthropic",
        body: include_str!("bodies/anthropic-tools.sse"),
        done: "\"stop_reason\":\"tool_use\"",
        answer: || {
            json!({
                "message": {"role": "assistant", "content": "Let me see.", "tool_calls": [
                    {"id": "toolu_a", "name": "current_time", "arguments": "{}"},
                    {"id": "toolu_b", "name": "math_solver", "arguments": r#"{"expression":"2×3"}"#},
                ],
                "thoughts": "Two tools.",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "Two tools.", "signature": "EqQBCgIYAhIM"},
                ]},
                "finish_reason": "tool_calls",
                "usage": {"input_tokens": 472, "output_tokens": 89},
                "model": "claude-sonnet-4-5-20250929",
                "metadata": {},
            })
        },
    },
    Case {
        name: "gemini-text",
        kind: "gemini",
        body: include_str!("bodies/gemini-text.sse"),
        done: "\"finishReason\":\"STOP\"",
        answer: || {
            json!({
                "message": {"role": "assistant", "content": GREETING},
                "finish_reason": "stop",
                "usage": {"input_tokens": 117, "output_tokens": 9, "cached_input_tokens": 100,
                    "reasoning_tokens": 2},
                "model": "gemini-2.5-flash",
                "metadata": {"responseId": "r1", "usage":
                    {"thoughtsTokenCount": 2, "cachedContentTokenCount": 100}},
            })
        },
    },
    Case {
        name: "gemini-tools",
        kind: "gemini",
        body: include_str!("bodies/gemini-tools.sse"),
        done: "\"finishReason\":\"STOP\"",
        answer: || {
            json!({
                "message": {"role": "assistant", "content": "", "tool_calls": [
                    {"id": "call_cmd_0", "name": "current_time", "arguments": "{}"},
                    {"id": "call_cmd_1", "name": "math_solver",
                        "arguments": r#"{"expression":"2×3"}"#},
                ],
                "thoughts": "Two tools.",
                "thought_signatures": {"call_cmd_0": "Cr8BAQ=="}},
                "finish_reason": "tool_calls",
                "usage": {"input_tokens": 80, "output_tokens": 31, "reasoning_tokens": 12},
                "model": "gemini-3-pro-preview",
                "metadata": {"usage": {"thoughtsTokenCount": 12}},
            })
        },
    },
];

/// Kind, status, body, class.
pub(crate) const REFUSALS: &[(&str, u16, &str, FailureClass)] = &[
    (
        "openai",
        401,
        r#"{"error":{"message":"Incorrect API key provided: sk-canary-0123456789.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        FailureClass::Unauthorized,
    ),
    (
        "openai",
        429,
        r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
        FailureClass::QuotaExceeded,
    ),
    (
        "anthropic",
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
        FailureClass::Unavailable,
    ),
    (
        "anthropic",
        401,
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key: sk-canary-0123456789"}}"#,
        FailureClass::Unauthorized,
    ),
    (
        "anthropic",
        413,
        r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
        FailureClass::BadRequest,
    ),
    (
        "gemini",
        400,
        r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
        FailureClass::Unauthorized,
    ),
    (
        "gemini",
        503,
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
        FailureClass::Unavailable,
    ),
    (
        "gemini",
        429,
        r#"[{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED"}}]"#,
        FailureClass::RateLimited,
    ),
    (
        "gemini",
        429,
        r#"{"error":{"code":429,"message":"m","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"34.07s"}]}}"#,
        FailureClass::QuotaExceeded,
    ),
];

/// Kind, stream, class.
pub(crate) const BROKEN: &[(&str, &str, FailureClass)] = &[
    (
        "openai",
        "data: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\",\"code\":null}}\n\n",
        FailureClass::RateLimited,
    ),
    (
        "anthropic",
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
        FailureClass::Unavailable,
    ),
    (
        "anthropic",
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"too long\"}}\n\n",
        FailureClass::BadRequest,
    ),
    (
        "gemini",
        "data: {\"error\":{\"code\":429,\"message\":\"Resource has been exhausted\",\"status\":\"RESOURCE_EXHAUSTED\"}}\n\n",
        FailureClass::RateLimited,
    ),
    ("openai", "data: {\"choices\":[\n\n", FailureClass::Garbled),
    ("anthropic", "data: nonsense\n\n", FailureClass::Garbled),
    ("gemini", "data: nonsense\n\n", FailureClass::Garbled),
];
