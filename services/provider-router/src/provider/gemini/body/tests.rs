//! Requests as Google's reference shows them, and what other providers leave in a conversation.

use nexus_contracts::chat::{ChatMessage, Role, ToolCall, ToolSpec};
use nexus_contracts::events::ModelParameters;
use serde_json::{Value, json};

use super::body;
use crate::provider::{ChatRequest, Origin};

fn request(messages: Vec<ChatMessage>) -> ChatRequest {
    ChatRequest {
        id: "c".to_owned(),
        model: "gemini-3-flash-preview".to_owned(),
        messages,
        tools: Vec::new(),
        parameters: ModelParameters::default(),
        origin: Origin::default(),
    }
}

fn said(role: Role, text: &str) -> ChatMessage {
    ChatMessage::text(role, text)
}

fn calling(calls: &[(&str, &str, &str)]) -> ChatMessage {
    let mut message = said(Role::Assistant, "");
    for (id, name, arguments) in calls {
        message.tool_calls.push(ToolCall {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            arguments: (*arguments).to_owned(),
        });
    }
    message
}

fn tool(name: &str, parameters: Value) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: "does it".to_owned(),
        parameters,
        extra: [("effect".to_owned(), json!("read_only"))].into(),
    }
}

/// A question with these extra parameters, asked of this model, with a tool at hand.
fn asked(model: &str, extra: Value) -> Result<Value, String> {
    let mut request = request(vec![said(Role::User, "Hi")]);
    model.clone_into(&mut request.model);
    let arguments = json!({"type": "object", "properties": {"q": {"type": "string"}}});
    request.tools.push(tool("find", arguments));
    request.parameters.extra = serde_json::from_value(extra).unwrap();
    body(&request)
}

fn flash(extra: Value) -> Value {
    asked("gemini-3-flash-preview", extra).unwrap()
}

#[test]
fn a_whole_request() {
    let arguments = json!({"$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object", "properties": {"expression": {"type": "string", "minLength": 1}},
        "required": ["expression"], "additionalProperties": false});
    let mut request = request(vec![
        said(Role::System, "Be brief."),
        said(Role::User, "1+1?"),
        calling(&[("k", "math_solver", r#"{"expression":"1+1"}"#)]),
        ChatMessage::tool_result("k", "2"),
        said(Role::System, "Be kind."),
    ]);
    request.tools = vec![
        tool("math_solver", arguments.clone()),
        tool("now", json!({"type": "object", "properties": {}})),
    ];
    request.parameters = ModelParameters {
        temperature: Some(0.5),
        max_tokens: Some(7),
        extra: [
            ("top_p".to_owned(), json!(0.9)),
            ("stop".to_owned(), json!("END")),
            ("seed".to_owned(), json!(3)),
            ("stream".to_owned(), json!(false)),
            ("model".to_owned(), json!("other")),
            ("user".to_owned(), json!("u")),
            ("tool_choice".to_owned(), json!("auto")),
            (
                "safetySettings".to_owned(),
                json!([{"category": "c", "threshold": "OFF"}]),
            ),
            ("cachedContent".to_owned(), json!("cachedContents/x")),
            ("labels".to_owned(), Value::Null),
        ]
        .into(),
    };
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "1+1?"}]},
            {"role": "model", "parts": [
                {"functionCall":
                    {"id": "k", "name": "math_solver", "args": {"expression": "1+1"}},
                    "thoughtSignature": "skip_thought_signature_validator"}]},
            {"role": "user", "parts": [
                {"functionResponse":
                    {"id": "k", "name": "math_solver", "response": {"result": "2"}}}]},
        ],
        "tools": [{"functionDeclarations": [
            {"name": "math_solver", "description": "does it", "parametersJsonSchema": arguments},
            {"name": "now", "description": "does it"},
        ]}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 7, "topP": 0.9, "seed": 3,
            "stopSequences": ["END"]},
        "safetySettings": [{"category": "c", "threshold": "OFF"}],
        "cachedContent": "cachedContents/x",
    });
    assert_eq!(body(&request), Ok(expected));
}

#[test]
fn what_one_side_says_in_a_row_is_one_turn() {
    let messages = vec![
        said(Role::User, "a"),
        said(Role::User, ""),
        said(Role::User, "b"),
        said(Role::Assistant, ""),
        said(Role::User, "c"),
        calling(&[("1", "f", "{}"), ("2", "f", "")]),
        ChatMessage::tool_result("2", "second"),
        ChatMessage::tool_result("1", "[1]"),
        said(Role::User, "d"),
    ];
    let body = body(&request(messages)).unwrap();
    assert_eq!(
        body["contents"],
        json!([
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "1", "name": "f", "args": {}},
                    "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"id": "2", "name": "f", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse":
                    {"id": "2", "name": "f", "response": {"result": "second"}}},
                {"functionResponse": {"id": "1", "name": "f", "response": {"result": "[1]"}}},
                {"text": "d"}]},
        ])
    );
}

#[test]
fn arguments_that_are_no_object_are_shown_as_they_are() {
    let messages = vec![said(Role::User, "a"), calling(&[("1", "f", "{\"q\":")])];
    let body = body(&request(messages)).unwrap();
    let call = &body["contents"][1]["parts"][0]["functionCall"];
    assert_eq!(call["args"], json!({"arguments": "{\"q\":"}));
}

#[test]
fn a_result_without_its_call_is_refused() {
    let messages = vec![said(Role::User, "a"), ChatMessage::tool_result("gone", "x")];
    let refused = body(&request(messages)).unwrap_err();
    assert!(refused.contains("`gone`"), "{refused}");
}

#[test]
fn instructions_alone_are_refused() {
    for messages in [vec![], vec![said(Role::System, "Be brief.")]] {
        let refused = body(&request(messages)).unwrap_err();
        assert!(refused.contains("instructions"), "{refused}");
    }
}

#[test]
fn what_others_leave_in_a_message_stays_there() {
    let mut message = calling(&[("call_1", "f", "{}"), ("call_2", "f", "{}")]);
    message.content = "Hm.".to_owned();
    message.extra = [
        ("reasoning_content".to_owned(), json!("secret thoughts")),
        ("refusal".to_owned(), json!("no")),
        (
            "thought_signatures".to_owned(),
            json!({"call_2": "c2ln", "": 7}),
        ),
        (
            "parts".to_owned(),
            json!([{"type": "text", "text": "theirs"}, "x",
                {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]),
        ),
    ]
    .into();
    let body = body(&request(vec![said(Role::User, "a"), message])).unwrap();
    assert_eq!(
        body["contents"][1]["parts"],
        json!([
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
            {"text": "Hm."},
            {"functionCall": {"id": "call_1", "name": "f", "args": {}},
                "thoughtSignature": "skip_thought_signature_validator"},
            {"functionCall": {"id": "call_2", "name": "f", "args": {}},
                "thoughtSignature": "c2ln"},
        ])
    );
}

#[test]
fn a_tool_that_takes_nothing_declares_no_arguments() {
    let declared = |parameters: Value| {
        let mut request = request(vec![said(Role::User, "a")]);
        request.tools.push(tool("f", parameters));
        let mut body = body(&request).unwrap();
        body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"].take()
    };
    for nothing in [
        json!({}),
        json!(true),
        json!({"type": "object", "title": "F", "properties": {}, "required": [],
            "additionalProperties": false}),
    ] {
        assert_eq!(declared(nothing), Value::Null);
    }
    for something in [
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        json!({"$ref": "#/$defs/F", "$defs": {"F": {"type": "object"}}}),
    ] {
        assert_eq!(declared(something.clone()), something);
    }
}

#[test]
fn googles_own_tools_stand_before_ours() {
    let body = flash(json!({"tools": [{"googleSearch": {}}],
        "toolConfig": {"includeServerSideToolInvocations": true}, "tool_choice": "required"}));
    assert_eq!(body["tools"][0], json!({"googleSearch": {}}));
    assert_eq!(body["tools"][1]["functionDeclarations"][0]["name"], "find");
    assert_eq!(
        body["toolConfig"],
        json!({"includeServerSideToolInvocations": true, "functionCallingConfig": {"mode": "ANY"}})
    );
}

#[test]
fn which_tools_may_be_called() {
    let chosen = |choice: Value| {
        let mut body = asked("gemini-3-flash-preview", json!({ "tool_choice": choice }))?;
        Ok::<Value, String>(body["toolConfig"]["functionCallingConfig"].take())
    };
    assert_eq!(chosen(json!("none")), Ok(json!({"mode": "NONE"})));
    assert_eq!(
        chosen(json!({"type": "function", "function": {"name": "find"}})),
        Ok(json!({"mode": "ANY", "allowedFunctionNames": ["find"]}))
    );
    assert!(chosen(json!("maybe")).unwrap_err().contains("maybe"));
    // Without tools there is nothing to choose from.
    let mut bare = request(vec![said(Role::User, "Hi")]);
    bare.parameters.extra = [("tool_choice".to_owned(), json!("auto"))].into();
    let expected = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]});
    assert_eq!(body(&bare), Ok(expected));
}

#[test]
fn shapes_of_an_answer() {
    let config =
        |format: Value| flash(json!({ "response_format": format }))["generationConfig"].take();
    assert_eq!(config(json!({"type": "text"})), Value::Null);
    assert_eq!(
        config(json!({"type": "json_object"})),
        json!({"responseMimeType": "application/json"})
    );
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}});
    assert_eq!(
        config(json!({"type": "json_schema", "json_schema":
            {"name": "n", "strict": true, "schema": schema}})),
        json!({"responseMimeType": "application/json", "responseJsonSchema": schema})
    );
    assert!(
        asked(
            "gemini-3-pro",
            json!({"response_format": {"type": "grammar"}})
        )
        .is_err()
    );
}

#[test]
fn how_much_to_think() {
    let thinking = |model: &str, extra: Value| {
        let mut body = asked(model, extra)?;
        Ok::<Value, String>(body["generationConfig"]["thinkingConfig"].take())
    };
    for (model, effort, expected) in [
        ("gemini-3.1-pro", "minimal", json!({"thinkingLevel": "low"})),
        (
            "gemini-3-flash-preview",
            "minimal",
            json!({"thinkingLevel": "minimal"}),
        ),
        (
            "gemini-flash-latest",
            "xhigh",
            json!({"thinkingLevel": "high"}),
        ),
        (
            "models/gemini-2.5-flash",
            "medium",
            json!({"thinkingBudget": 8192}),
        ),
        ("gemini-2.5-flash", "none", json!({"thinkingBudget": 0})),
    ] {
        let config = thinking(model, json!({ "reasoning_effort": effort }));
        assert_eq!(config, Ok(expected), "{model} {effort}");
    }
    // Google's own name counts, and what it says besides stays.
    let both = json!({"reasoning_effort": "low", "generation_config":
        {"thinkingConfig": {"includeThoughts": true}}});
    assert_eq!(
        thinking("gemini-3-pro", both),
        Ok(json!({"includeThoughts": true, "thinkingLevel": "low"}))
    );
    let both = json!({"reasoning_effort": "low", "generationConfig":
        {"thinkingConfig": {"thinkingBudget": 5}}});
    assert_eq!(
        thinking("gemini-2.5-pro", both),
        Ok(json!({"thinkingBudget": 5}))
    );
    let odd = thinking("gemini-3-pro", json!({"reasoning_effort": 3}));
    assert!(odd.unwrap_err().contains("not 3"));
}

#[test]
fn googles_own_configuration_is_filled_up() {
    let body = flash(
        json!({"generationConfig": {"topK": 5, "candidateCount": 1, "topP": 0.1},
        "top_p": 0.2, "stop": ["a", "b"], "max_completion_tokens": 9, "newField": {"x": 1}}),
    );
    assert_eq!(
        body["generationConfig"],
        json!({"topK": 5, "candidateCount": 1, "topP": 0.2, "stopSequences": ["a", "b"],
            "maxOutputTokens": 9})
    );
    assert_eq!(body["newField"], json!({"x": 1}));
    assert!(asked("gemini-3-pro", json!({"generationConfig": 1})).is_err());
    assert!(asked("gemini-3-pro", json!({"tools": {}})).is_err());
}

#[test]
fn pictures_go_by_their_bytes_or_by_where_they_are() {
    let mut said = said(Role::User, "What is this?");
    said.images = ["https://example.org/a.png", "data:image/png;base64,aGk="]
        .map(|url| nexus_contracts::chat::Image {
            url: url.to_owned(),
            detail: None,
        })
        .to_vec();
    let turns = crate::provider::gemini::history::contents(&[said]).unwrap();
    assert_eq!(
        turns[0]["parts"],
        json!([
            {"fileData": {"fileUri": "https://example.org/a.png"}},
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
            {"text": "What is this?"},
        ])
    );
}
