//! Tools and their results, on the way to a provider.

use anyhow::{Result, ensure};
use nexus_contracts::chat::{ChatMessage, Role, ToolCall, ToolSpec};
use serde_json::{Value, json};

use crate::support::{question, sent};

fn tool(name: &str, parameters: Value) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: "adds".to_owned(),
        parameters,
        extra: [("effect".to_owned(), json!("read_only"))].into(),
    }
}

/// bifrost #3511: tools in the words of chat completions reached Anthropic in a shape it refuses,
/// so that no request with tools was answered there.
#[tokio::test]
async fn tools_reach_each_provider_in_its_own_words() -> Result<()> {
    let schema = json!({
        "type": "object",
        "properties": { "a": { "type": "number" }, "b": { "$ref": "#/$defs/number" } },
        "$defs": { "number": { "type": "number" } },
        "required": ["a", "b"],
        "additionalProperties": false,
    });
    let mut request = question();
    request.tools.push(tool("add_numbers", schema.clone()));
    let extra = &mut request.parameters.extra;
    extra.insert("tool_choice".to_owned(), json!("required"));
    extra.insert("parallel_tool_calls".to_owned(), json!(false));
    let named = json!({ "name": "add_numbers", "description": "adds" });
    let with = |name: &str| {
        let mut tool = named.clone();
        if let Value::Object(fields) = &mut tool {
            fields.insert(name.to_owned(), schema.clone());
        }
        tool
    };
    for (kind, expected) in [
        (
            "openai",
            json!({
                "tools": [{ "type": "function", "function": with("parameters") }],
                "tool_choice": "required",
                "parallel_tool_calls": false,
            }),
        ),
        (
            "anthropic",
            json!({
                "tools": [with("input_schema")],
                "tool_choice": { "type": "any", "disable_parallel_tool_use": true },
                "parallel_tool_calls": null,
            }),
        ),
        (
            "gemini",
            json!({
                "tools": [{ "functionDeclarations": [with("parametersJsonSchema")] }],
                "toolConfig": { "functionCallingConfig": { "mode": "ANY" } },
                "tool_choice": null,
                "parallel_tool_calls": null,
            }),
        ),
    ] {
        let body = sent(kind, &request).await?;
        for (name, value) in expected.as_object().into_iter().flatten() {
            let found = body.get(name).cloned().unwrap_or_default();
            ensure!(found == *value, "{kind}: `{name}` is {found:#}");
        }
    }
    Ok(())
}

/// bifrost #3511, for tools that take nothing: servers refuse all tools for one whose schema is not
/// that of an object.
#[tokio::test]
async fn a_tool_that_takes_nothing_is_one_that_takes_an_empty_object() -> Result<()> {
    for schema in [json!({}), Value::Null, json!({ "properties": {} })] {
        let mut request = question();
        request.tools.push(tool("now", schema.clone()));
        for (kind, pointer) in [
            ("openai", "/tools/0/function/parameters"),
            ("anthropic", "/tools/0/input_schema"),
            (
                "gemini",
                "/tools/0/functionDeclarations/0/parametersJsonSchema",
            ),
        ] {
            let body = sent(kind, &request).await?;
            // Only Anthropic does not let it be left out.
            let understood = match body.pointer(pointer) {
                None => kind != "anthropic",
                Some(schema) => schema.get("type") == Some(&json!("object")),
            };
            ensure!(understood, "{kind}, for {schema}: {body:#}");
        }
    }
    Ok(())
}

/// A person, two calls of which one fails and one returns nothing, another call, and the person
/// again.
fn said() -> Vec<ChatMessage> {
    let asked = |text: &str, calls: &[(&str, &str, &str)]| {
        let calls = calls.iter().map(|(id, name, arguments)| ToolCall {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            arguments: (*arguments).to_owned(),
        });
        ChatMessage {
            tool_calls: calls.collect(),
            ..ChatMessage::text(Role::Assistant, text)
        }
    };
    let both = [
        ("a", "search", r#"{"q":"x"}"#),
        ("b", "fetch", r#"{"url":"u"}"#),
    ];
    vec![
        ChatMessage::text(Role::User, "Who won?"),
        asked("Searching.", &both),
        ChatMessage::tool_result("a", "error: 0 results"),
        ChatMessage::tool_result("b", ""),
        asked("Again.", &[("c", "search", r#"{"q":"y"}"#)]),
        ChatMessage::tool_result("c", r#"{"n":1}"#),
        ChatMessage::text(Role::User, "And?"),
    ]
}

fn in_words_of_openai() -> Value {
    let call = |id: &str, name: &str, arguments: &str| {
        let function = json!({ "name": name, "arguments": arguments });
        json!({ "id": id, "type": "function", "function": function })
    };
    let both = [
        call("a", "search", r#"{"q":"x"}"#),
        call("b", "fetch", r#"{"url":"u"}"#),
    ];
    let third = call("c", "search", r#"{"q":"y"}"#);
    json!([
        { "role": "user", "content": "Who won?" },
        { "role": "assistant", "content": "Searching.", "tool_calls": both },
        { "role": "tool", "content": "error: 0 results", "tool_call_id": "a" },
        { "role": "tool", "content": "", "tool_call_id": "b" },
        { "role": "assistant", "content": "Again.", "tool_calls": [third] },
        { "role": "tool", "content": r#"{"n":1}"#, "tool_call_id": "c" },
        { "role": "user", "content": "And?" },
    ])
}

fn in_words_of_anthropic() -> Value {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let call = |id: &str, name: &str, input: Value| {
        let kind = "tool_use";
        json!({ "type": kind, "id": id, "name": name, "input": input })
    };
    let result = |id: &str, content: &str| {
        let kind = "tool_result";
        json!({ "type": kind, "tool_use_id": id, "content": content })
    };
    json!([
        { "role": "user", "content": [text("Who won?")] },
        { "role": "assistant", "content": [
            text("Searching."),
            call("a", "search", json!({ "q": "x" })),
            call("b", "fetch", json!({ "url": "u" })),
        ] },
        { "role": "user", "content": [
            result("a", "error: 0 results"),
            { "type": "tool_result", "tool_use_id": "b" },
        ] },
        { "role": "assistant", "content": [
            text("Again."),
            call("c", "search", json!({ "q": "y" })),
        ] },
        { "role": "user", "content": [result("c", r#"{"n":1}"#), text("And?")] },
    ])
}

fn in_words_of_gemini() -> Value {
    let call = |id: &str, name: &str, args: Value| json!({ "id": id, "name": name, "args": args });
    let result = |id: &str, name: &str, response: Value| {
        let response = json!({ "id": id, "name": name, "response": response });
        json!({ "functionResponse": response })
    };
    // What Google's guide says for calls that Gemini did not make, one in every step.
    let signed = |call: Value| {
        let signature = "skip_thought_signature_validator";
        json!({ "functionCall": call, "thoughtSignature": signature })
    };
    json!([
        { "role": "user", "parts": [{ "text": "Who won?" }] },
        { "role": "model", "parts": [
            { "text": "Searching." },
            signed(call("a", "search", json!({ "q": "x" }))),
            { "functionCall": call("b", "fetch", json!({ "url": "u" })) },
        ] },
        { "role": "user", "parts": [
            result("a", "search", json!({ "result": "error: 0 results" })),
            result("b", "fetch", json!({ "result": "" })),
        ] },
        { "role": "model", "parts": [
            { "text": "Again." },
            signed(call("c", "search", json!({ "q": "y" }))),
        ] },
        { "role": "user", "parts": [
            result("c", "search", json!({ "n": 1 })),
            { "text": "And?" },
        ] },
    ])
}

/// ai-gateway #1911: behind the gateway a model called the same failing tool for ever, which asked
/// directly went on to another one: what the tool had returned did not reach it as it should.
#[tokio::test]
async fn what_tools_returned_stands_behind_the_calls_it_answers() -> Result<()> {
    let mut request = question();
    request.messages = said();
    for (kind, field, expected) in [
        ("openai", "messages", in_words_of_openai()),
        ("anthropic", "messages", in_words_of_anthropic()),
        ("gemini", "contents", in_words_of_gemini()),
    ] {
        let body = sent(kind, &request).await?;
        let found = body.get(field).cloned().unwrap_or_default();
        ensure!(found == expected, "{kind}: {found:#}");
    }
    Ok(())
}
