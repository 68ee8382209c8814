//! The dialect as a whole: where it asks, and what comes back of what it read.

use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::ModelParameters;
use serde_json::json;

use super::Gemini;
use crate::provider::dialect::Dialect;
use crate::provider::{ChatRequest, Origin};

fn request(model: &str, messages: Vec<ChatMessage>) -> ChatRequest {
    ChatRequest {
        id: "c".to_owned(),
        model: model.to_owned(),
        messages,
        tools: Vec::new(),
        parameters: ModelParameters::default(),
        origin: Origin::default(),
    }
}

fn path(model: &str) -> Result<String, String> {
    let asked = vec![ChatMessage::text(Role::User, "Hi")];
    let call = Gemini.call(&request(model, asked))?;
    Ok(call.path)
}

#[test]
fn the_model_is_in_the_path() {
    for (model, expected) in [
        ("gemini-3-flash-preview", "models/gemini-3-flash-preview"),
        ("models/gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
    ] {
        let expected = format!("{expected}:streamGenerateContent?alt=sse");
        assert_eq!(path(model), Ok(expected));
    }
}

#[test]
fn a_model_that_leads_elsewhere_is_refused() {
    for model in [
        "",
        "models/",
        "../../v1/x",
        "a/./b",
        "a//b",
        "a b",
        "a?key=1",
        "a:generateContent",
        "a%2Fb",
        "größe",
    ] {
        let refused = path(model).unwrap_err();
        assert!(refused.contains(&format!("`{model}`")), "{refused}");
    }
}

#[test]
fn the_key_is_in_a_header() {
    let (name, value) = Gemini.key_header("AIza-canary");
    assert_eq!((name, value.as_str()), ("x-goog-api-key", "AIza-canary"));
    assert!(Gemini.headers().is_empty());
    assert_eq!(Gemini.probe_path(), "models?pageSize=1");
}

/// Gemini 3 signs the first of two calls made side by side, and the last part of a text.
#[test]
fn what_was_read_is_sent_back_as_it_came() {
    let calls = json!({"candidates": [{"index": 0, "finishReason": "STOP", "content": {
    "role": "model", "parts": [
        {"functionCall": {"id": "k1", "name": "weather", "args": {"city": "Würzburg"}},
            "thoughtSignature": "c2lnLWE="},
        {"functionCall": {"id": "k2", "name": "weather", "args": {"city": "Θήβα"}}},
    ]}}]});
    let mut reader = Gemini.reader("seed");
    reader.push(&calls.to_string()).unwrap();
    let asked = reader.finish().unwrap().message;

    let mut reader = Gemini.reader("seed");
    for parts in [
        json!([{"text": "Warm "}]),
        json!([{"text": "in both."}]),
        json!([{"text": "", "thoughtSignature": "c2lnLWI="}]),
    ] {
        let chunk = json!({"candidates": [{"content": {"parts": parts, "role": "model"}}]});
        reader.push(&chunk.to_string()).unwrap();
    }
    let end = r#"{"candidates": [{"finishReason": "STOP"}]}"#;
    reader.push(end).unwrap();
    let answered = reader.finish().unwrap().message;

    let messages = vec![
        ChatMessage::text(Role::User, "Weather?"),
        asked,
        ChatMessage::tool_result("k1", r#"{"celsius": 21}"#),
        ChatMessage::tool_result("k2", "hot"),
        answered,
        ChatMessage::text(Role::User, "Thanks"),
    ];
    let call = Gemini.call(&request("gemini-3-pro", messages)).unwrap();
    assert_eq!(
        call.body,
        json!({"contents": [
            {"role": "user", "parts": [{"text": "Weather?"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "k1", "name": "weather", "args": {"city": "Würzburg"}},
                    "thoughtSignature": "c2lnLWE="},
                {"functionCall": {"id": "k2", "name": "weather", "args": {"city": "Θήβα"}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse":
                    {"id": "k1", "name": "weather", "response": {"celsius": 21}}},
                {"functionResponse":
                    {"id": "k2", "name": "weather", "response": {"result": "hot"}}},
            ]},
            {"role": "model", "parts": [
                {"text": "Warm in both.", "thoughtSignature": "c2lnLWI="},
            ]},
            {"role": "user", "parts": [{"text": "Thanks"}]},
        ]})
    );
}
