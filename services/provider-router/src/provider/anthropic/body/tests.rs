//! Requests as the API takes them.

use nexus_contracts::chat::{ChatMessage, Role, ToolSpec};
use nexus_contracts::events::ModelParameters;
use serde_json::{Value, json};

use super::super::history::tests::{calling, user};
use super::{ChatRequest, body};
use crate::provider::Origin;

fn request(messages: Vec<ChatMessage>) -> ChatRequest {
    ChatRequest {
        id: "c".to_owned(),
        model: "m".to_owned(),
        messages,
        tools: Vec::new(),
        parameters: ModelParameters::default(),
        origin: Origin::default(),
    }
}

fn spec(name: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: "computes".to_owned(),
        parameters: json!({"type": "object", "properties": {"x": {"type": "number"}}}),
        extra: [("effect".to_owned(), json!("read_only"))].into(),
    }
}

/// The body of a question with these parameters and a tool.
fn asked(extra: Value) -> Result<Value, String> {
    let mut request = request(vec![user("Hi")]);
    request.parameters.extra = serde_json::from_value(extra).unwrap();
    request.tools.push(spec("f"));
    body(&request)
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

#[test]
fn everything_asked_for_is_in_the_body() {
    let mut thinking = calling("", &[("toolu_1", "f", r#"{"x":1}"#)]);
    let thought = json!("hm");
    thinking
        .extra
        .insert("reasoning_content".to_owned(), thought);
    let mut request = request(vec![
        ChatMessage::text(Role::System, "Be brief."),
        user("1+1?"),
        thinking,
        ChatMessage::tool_result("toolu_1", "2"),
        ChatMessage::text(Role::System, "Be kind."),
    ]);
    request.tools.push(spec("f"));
    request.parameters.temperature = Some(0.5);
    request.parameters.max_tokens = Some(7);
    request.parameters.extra = [
        ("model".to_owned(), json!("other")),
        ("top_k".to_owned(), json!(5)),
        ("seed".to_owned(), json!(3)),
        ("container".to_owned(), Value::Null),
    ]
    .into();
    let expected = json!({
        "model": "m", "stream": true, "max_tokens": 7, "temperature": 0.5, "top_k": 5,
        "system": "Be brief.\n\nBe kind.",
        "tools": [{"name": "f", "description": "computes",
            "input_schema": {"type": "object", "properties": {"x": {"type": "number"}}}}],
        "messages": [
            {"role": "user", "content": [text("1+1?")]},
            {"role": "assistant", "content":
                [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}}]},
            {"role": "user", "content":
                [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "2"}]},
        ],
    });
    assert_eq!(body(&request), Ok(expected));
}

#[test]
fn what_cannot_be_carried_is_said() {
    for extra in [
        json!({"response_format": {"type": "json_object"}}),
        json!({"response_format": {"type": "json_schema"}}),
        json!({"tool_choice": "sometimes"}),
    ] {
        assert!(asked(extra).is_err());
    }
    assert!(body(&request(Vec::new())).is_err());
}

#[test]
fn a_history_with_calls_has_tools_even_when_none_is_offered() {
    let mut request = request(vec![
        user("a"),
        calling("", &[("1", "g", "{}"), ("2", "f", "{}"), ("3", "g", "{}")]),
        ChatMessage::tool_result("1", "x"),
        ChatMessage::tool_result("2", "x"),
        ChatMessage::tool_result("3", "x"),
    ]);
    request.parameters.extra = [
        ("tool_choice".to_owned(), json!("required")),
        ("parallel_tool_calls".to_owned(), json!(false)),
    ]
    .into();
    let sent = body(&request).unwrap();
    let names = |sent: &Value| -> Vec<String> {
        let tools = sent["tools"].as_array().unwrap().iter();
        tools
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&sent), ["f", "g"]);
    assert_eq!(sent["tools"][0]["input_schema"], json!({"type": "object"}));
    assert_eq!(sent["tool_choice"], json!({"type": "none"}));
    request.tools.push(spec("f"));
    let sent = body(&request).unwrap();
    assert_eq!(names(&sent), ["f"]);
    assert_eq!(
        sent["tool_choice"],
        json!({"type": "any", "disable_parallel_tool_use": true})
    );
    // Neither tools nor calls: a choice of a tool would be refused.
    request.tools.clear();
    request.messages.truncate(1);
    let sent = body(&request).unwrap();
    assert!(sent.get("tools").is_none() && sent.get("tool_choice").is_none());
}

#[test]
fn a_tool_says_that_its_arguments_are_an_object() {
    let mut request = request(vec![user("a")]);
    for parameters in [Value::Null, json!({"properties": {}})] {
        request.tools.push(ToolSpec {
            parameters,
            description: String::new(),
            ..spec("f")
        });
    }
    request.parameters.extra = [(
        "tools".to_owned(),
        json!([{"type": "web_search_20250305", "name": "web_search"}]),
    )]
    .into();
    assert_eq!(
        body(&request).unwrap()["tools"],
        json!([
            {"name": "f", "input_schema": {"type": "object"}},
            {"name": "f", "input_schema": {"type": "object", "properties": {}}},
            {"type": "web_search_20250305", "name": "web_search"},
        ])
    );
}

/// Every parameter with the field of the body it becomes.
fn become_fields(rows: &[(Value, &str, Value)]) {
    for (extra, name, value) in rows {
        let sent = asked(extra.clone()).unwrap();
        assert_eq!(&sent[*name], value, "{extra}");
    }
}

#[test]
fn limits_and_names_are_translated() {
    let budget = json!({"type": "enabled", "budget_tokens": 1024});
    let mark = json!({"type": "ephemeral"});
    become_fields(&[
        (json!({"stop": "a"}), "stop_sequences", json!(["a"])),
        (json!({"stop": ["a"]}), "stop_sequences", json!(["a"])),
        (
            json!({"stop": "a", "stop_sequences": ["b"]}),
            "stop_sequences",
            json!(["b"]),
        ),
        (json!({"user": "u"}), "metadata", json!({"user_id": "u"})),
        (
            json!({"user": "u", "metadata": {"user_id": "v"}}),
            "metadata",
            json!({"user_id": "v"}),
        ),
        (json!({}), "max_tokens", json!(4096)),
        (json!({"max_completion_tokens": 9}), "max_tokens", json!(9)),
        // What it thinks with comes out of the same limit.
        (json!({"thinking": budget}), "max_tokens", json!(5120)),
        (json!({"thinking": budget}), "thinking", budget),
        (json!({"cache_control": mark}), "cache_control", mark),
    ]);
}

#[test]
fn the_choice_of_a_tool_is_translated() {
    let function = json!({"type": "function", "function": {"name": "f"}});
    let of = |kind: &str| json!({"type": kind});
    let choices = [
        (json!({"tool_choice": "auto"}), of("auto")),
        (json!({"tool_choice": "none"}), of("none")),
        (json!({"tool_choice": "required"}), of("any")),
        (json!({"tool_choice": of("any")}), of("any")),
        (
            json!({"tool_choice": function}),
            json!({"type": "tool", "name": "f"}),
        ),
        (json!({"parallel_tool_calls": true}), Value::Null),
        (
            json!({"parallel_tool_calls": false}),
            json!({"type": "auto", "disable_parallel_tool_use": true}),
        ),
        (
            json!({"tool_choice": "none", "parallel_tool_calls": false}),
            of("none"),
        ),
    ];
    become_fields(&choices.map(|(extra, choice)| (extra, "tool_choice", choice)));
}

#[test]
fn the_form_of_the_answer_is_translated() {
    let schema = json!({"type": "object", "additionalProperties": false});
    let format = json!({"type": "json_schema",
        "json_schema": {"name": "n", "strict": true, "schema": schema}});
    let rows = [
        (
            json!({"response_format": format, "output_config": {"effort": "low"}}),
            json!({"effort": "low", "format": {"type": "json_schema", "schema": schema}}),
        ),
        (
            json!({"response_format": format, "reasoning_effort": "high"}),
            json!({"effort": "high", "format": {"type": "json_schema", "schema": schema}}),
        ),
        (json!({"response_format": {"type": "text"}}), Value::Null),
        (json!({"reasoning_effort": "none"}), Value::Null),
    ];
    become_fields(&rows.map(|(extra, config)| (extra, "output_config", config)));
}

#[test]
fn words_of_chat_completions_never_go_out() {
    let extra = json!({"seed": 1, "n": 2, "frequency_penalty": 1, "presence_penalty": 1,
        "logit_bias": {}, "logprobs": true, "stream_options": {}, "parallel_tool_calls": true,
        "response_format": {"type": "text"}, "reasoning_effort": "minimal"});
    let sent = asked(extra).unwrap();
    let mut names: Vec<&String> = sent.as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["max_tokens", "messages", "model", "stream", "tools"]
    );
}

#[test]
fn no_temperature_is_above_what_the_api_knows() {
    for (temperature, sent) in [(0.0, 0.0), (0.7, 0.7), (1.0, 1.0), (1.6, 1.0)] {
        let mut request = request(vec![user("Hi")]);
        request.parameters.temperature = Some(temperature);
        assert_eq!(body(&request).unwrap()["temperature"], json!(sent));
    }
}
