//! A chat request as the chat completions interface wants it.

use nexus_contracts::chat::{ChatMessage, Image, Role, ToolSpec};
use serde_json::{Map, Value, json};

use super::ChatRequest;

/// The body of `POST /chat/completions`. Sampling fields this version does not know pass through;
/// `limit_field` is what the server calls the limit of the answer's tokens.
#[must_use]
pub fn body(request: &ChatRequest, limit_field: &'static str) -> Value {
    let mut body: Map<String, Value> = request
        .parameters
        .extra
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(temperature) = request.parameters.temperature {
        body.insert("temperature".to_owned(), temperature.into());
    }
    if let Some(limit) = request.parameters.max_tokens {
        body.insert(limit_field.to_owned(), limit.into());
    }
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
    }
    // Whichever of its two names the limit came under.
    for name in ["max_tokens", "max_completion_tokens"] {
        if name != limit_field
            && let Some(limit) = body.remove(name)
        {
            body.entry(limit_field).or_insert(limit);
        }
    }
    body.insert("model".to_owned(), request.model.as_str().into());
    body.insert(
        "messages".to_owned(),
        request.messages.iter().map(message).collect(),
    );
    body.insert("stream".to_owned(), true.into());
    body.insert(
        "stream_options".to_owned(),
        json!({ "include_usage": true }),
    );
    Value::Object(body)
}

fn tool(spec: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": spec.name,
            "description": spec.description,
            "parameters": schema(&spec.parameters),
        }
    })
}

/// Arguments are always an object; strict servers refuse a schema that does not say so.
fn schema(parameters: &Value) -> Value {
    let mut schema = match parameters {
        Value::Object(schema) => schema.clone(),
        _ => Map::new(),
    };
    schema.entry("type").or_insert_with(|| "object".into());
    if schema.get("type").and_then(Value::as_str) == Some("object") {
        schema.entry("properties").or_insert_with(|| json!({}));
    }
    Value::Object(schema)
}

/// What other dialects keep with a message to send it back: nobody else can read it, and strict
/// servers refuse it.
const OF_OTHERS: [&str; 6] = [
    "thoughts",
    "thinking_blocks",
    "blocks",
    "citations",
    "thought_signatures",
    "parts",
];

/// An id that `OpenAI` takes: it refuses those of more than 40 characters, which other servers make.
/// A call and its result are shortened alike.
fn fit(id: &str) -> String {
    const LONGEST: usize = 40;
    if id.len() <= LONGEST {
        return id.to_owned();
    }
    format!(
        "call_{}",
        nexus_contracts::derive_id([id.as_bytes()]).simple()
    )
}

/// Text and pictures, one after the other.
fn parts(text: &str, images: &[Image]) -> Value {
    let said = (!text.is_empty()).then(|| json!({ "type": "text", "text": text }));
    let shown = images.iter().map(|image| {
        let mut url = json!({ "url": image.url });
        if let (Value::Object(url), Some(detail)) = (&mut url, &image.detail) {
            url.insert("detail".to_owned(), detail.as_str().into());
        }
        json!({ "type": "image_url", "image_url": url })
    });
    said.into_iter().chain(shown).collect()
}

fn message(said: &ChatMessage) -> Value {
    let mut message: Map<String, Value> = said
        .extra
        .iter()
        .filter(|(key, _)| !OF_OTHERS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let role = match said.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    message.insert("role".to_owned(), role.into());
    // A message that only calls tools has no content rather than an empty one.
    let silent = said.content.is_empty() && !said.tool_calls.is_empty();
    let content = match said.images.as_slice() {
        [] if silent => Value::Null,
        [] => said.content.as_str().into(),
        images => parts(&said.content, images),
    };
    message.insert("content".to_owned(), content);
    if !said.tool_calls.is_empty() {
        let calls = said.tool_calls.iter().map(|call| {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            json!({ "id": fit(&call.id), "type": "function", "function": function })
        });
        message.insert("tool_calls".to_owned(), calls.collect());
    }
    if let Some(id) = &said.tool_call_id {
        message.insert("tool_call_id".to_owned(), fit(id).into());
    }
    Value::Object(message)
}

#[cfg(test)]
mod tests {
    use nexus_contracts::chat::{ChatMessage, Role, ToolCall, ToolSpec};
    use nexus_contracts::events::ModelParameters;
    use serde_json::json;

    use super::{ChatRequest, body};
    use crate::provider::Origin;

    #[test]
    fn long_ids_are_shortened_alike() {
        let long = "chatcmpl-tool-0197a5f0000070008000000000000001";
        let mut asked = ChatMessage::text(Role::Assistant, "");
        asked.tool_calls.push(ToolCall {
            id: long.to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
        });
        let (call, result) = (
            super::message(&asked),
            super::message(&ChatMessage::tool_result(long, "1")),
        );
        let id = call["tool_calls"][0]["id"].as_str().unwrap();
        assert!(id.len() <= 40 && id != long, "{id}");
        assert_eq!(result["tool_call_id"], id);
    }

    #[test]
    fn everything_asked_for_is_in_the_body() {
        let call = ToolCall {
            id: "call_1".to_owned(),
            name: "math_solver".to_owned(),
            arguments: r#"{"expression":"1+1"}"#.to_owned(),
        };
        let mut asked = ChatMessage::text(Role::Assistant, "");
        asked.tool_calls.push(call);
        asked
            .extra
            .insert("reasoning_content".to_owned(), json!("hm"));
        asked
            .extra
            .insert("thought_signatures".to_owned(), json!({"call_1": "s"}));
        let request = ChatRequest {
            id: "c".to_owned(),
            model: "m".to_owned(),
            messages: vec![
                ChatMessage::text(Role::User, "1+1?"),
                asked,
                ChatMessage::tool_result("call_1", "2"),
            ],
            tools: vec![ToolSpec {
                name: "math_solver".to_owned(),
                description: "computes".to_owned(),
                parameters: json!({"type": "object"}),
                extra: [("effect".to_owned(), json!("read_only"))].into(),
            }],
            parameters: ModelParameters {
                temperature: Some(0.5),
                max_tokens: Some(7),
                extra: [
                    ("seed".to_owned(), json!(3)),
                    ("model".to_owned(), json!("other")),
                ]
                .into(),
            },
            origin: Origin::default(),
        };
        let expected = json!({
            "model": "m", "stream": true, "stream_options": {"include_usage": true},
            "temperature": 0.5, "max_tokens": 7, "seed": 3,
            "tools": [{"type": "function", "function":
                {"name": "math_solver", "description": "computes", "parameters":
                    {"type": "object", "properties": {}}}}],
            "messages": [
                {"role": "user", "content": "1+1?"},
                {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls":
                    [{"id": "call_1", "type": "function", "function":
                        {"name": "math_solver", "arguments": r#"{"expression":"1+1"}"#}}]},
                {"role": "tool", "content": "2", "tool_call_id": "call_1"},
            ],
        });
        assert_eq!(body(&request, "max_tokens"), expected);
    }

    #[test]
    fn pictures_make_a_content_of_parts() {
        let mut said = ChatMessage::text(Role::User, "What is this?");
        said.images.push(nexus_contracts::chat::Image {
            url: "data:image/png;base64,aGk=".to_owned(),
            detail: Some("low".to_owned()),
        });
        assert_eq!(
            super::message(&said)["content"],
            json!([
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url":
                    {"url": "data:image/png;base64,aGk=", "detail": "low"}},
            ])
        );
    }
}
