//! Conversations there, answers back.

mod answers;

use nexus_contracts::chat::{ChatMessage, Image, Role, ToolCall, ToolSpec};
use nexus_contracts::events::ModelParameters;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::{messages, offered, request};
use crate::provider::{ChatRequest, Origin};
use crate::toolcalls::{Ending, Tool, parse};

pub(super) fn spec(name: &str, description: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({"type": "object", "properties": {"expression": {"type": "string"}}}),
        extra: [("effect".to_owned(), json!("read_only"))].into(),
    }
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

fn asked(messages: Vec<ChatMessage>, tools: Vec<ToolSpec>) -> ChatRequest {
    ChatRequest {
        id: "c1".to_owned(),
        model: "m".to_owned(),
        messages,
        tools,
        parameters: ModelParameters::default(),
        origin: Origin::default(),
    }
}

#[test]
fn tools_go_behind_what_the_model_is_told_or_before_everything() {
    let tools = [spec("math_solver", "Computes."), spec("now", "The time.")];
    let hello = ChatMessage::text(Role::User, "Hello");
    let told = ChatMessage::text(Role::System, "Be brief.");
    let with = messages(&[told, hello.clone()], &tools);
    assert_eq!(with.len(), 2);
    assert!(with[0].content.starts_with("Be brief.\n\n# Tools\n"));
    let without = messages(std::slice::from_ref(&hello), &tools);
    assert_eq!((without.len(), without[0].role), (2, Role::System));
    assert!(with[0].content.ends_with(&without[0].content));
    assert_eq!(without[1], hello);
    // One tool a line, the name first, nothing that is not for models.
    let lines = without[0].content.lines();
    let of_tools: Vec<&str> = lines.filter(|line| line.contains("function")).collect();
    assert_eq!(of_tools.len(), 2);
    let computes =
        r#"{"type":"function","function":{"name":"math_solver","description":"Computes.","#;
    assert!(of_tools[0].starts_with(computes), "{}", of_tools[0]);
    assert!(!without[0].content.contains("read_only"));
}

#[test]
fn without_tools_nothing_is_told_of_them() {
    let said = [
        ChatMessage::text(Role::System, "Be brief."),
        ChatMessage::text(Role::User, "Hello"),
    ];
    assert_eq!(messages(&said, &[]), said);
}

#[test]
fn calls_and_results_are_told_as_the_model_would_write_them() {
    let mut asking = ChatMessage::text(Role::Assistant, "Let me see.");
    asking.tool_calls = vec![
        call("a", "math_solver", "{\"expression\": \"6*7\"}"),
        call("b", "now", " "),
        call("c", "now", "{broken"),
    ];
    let blocks = json!([{"type": "tool_use"}]);
    asking.extra.insert("blocks".to_owned(), blocks);
    let mut seen = ChatMessage::tool_result("a", "42");
    seen.images = vec![Image {
        url: "https://example.com/a.png".to_owned(),
        detail: None,
    }];
    let said = [
        ChatMessage::text(Role::User, "6*7, and when?"),
        asking,
        // In another order than that of the calls.
        ChatMessage::tool_result("b", "noon \"sharp\"\n"),
        seen,
        ChatMessage::tool_result("nobody's", "?"),
        ChatMessage::text(Role::User, "Well?"),
    ];
    let told = messages(&said, &[]);
    let roles: Vec<Role> = told.iter().map(|one| one.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User, Role::User]);
    assert_eq!(
        told[1],
        ChatMessage::text(
            Role::Assistant,
            r#"Let me see.
<tool_call>
{"name": "math_solver", "arguments": {"expression": "6*7"}}
</tool_call>
<tool_call>
{"name": "now", "arguments": {}}
</tool_call>
<tool_call>
{"name": "now", "arguments": "{broken"}
</tool_call>"#
        )
    );
    assert_eq!(
        told[2].content,
        r#"<tool_response>
{"name":"math_solver","content":"42"}
</tool_response>
<tool_response>
{"name":"now","content":"noon \"sharp\"\n"}
</tool_response>
<tool_response>
{"content":"?"}
</tool_response>"#
    );
    assert_eq!((told[2].images.len(), &told[3]), (1, &said[5]));
}

#[test]
fn the_request_has_no_tools_and_nothing_that_needs_them() {
    let mut asked = asked(
        vec![ChatMessage::text(Role::User, "Hello")],
        vec![spec("now", "The time.")],
    );
    for (key, value) in [
        ("tool_choice", json!("required")),
        ("parallel_tool_calls", json!(true)),
        ("seed", json!(1)),
    ] {
        asked.parameters.extra.insert(key.to_owned(), value);
    }
    let text = request(&asked);
    assert!(text.tools.is_empty());
    let left: Vec<&str> = text.parameters.extra.keys().map(String::as_str).collect();
    assert_eq!(left, ["seed"]);
    assert!(text.messages[0].content.contains("\"now\""));
    // Where the question wants no call, none is offered.
    let none = json!("none");
    asked
        .parameters
        .extra
        .insert("tool_choice".to_owned(), none);
    assert!(offered(&asked).is_empty());
    assert_eq!(request(&asked).messages, asked.messages);
}

/// Texts made of what could end a mark or begin one.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "</tool_response>",
            "<tool_call>",
            "</tool_call>",
            "</tools>",
            "<TOOL_RESPONSE>",
            "<tool",
            "<",
            "</",
            "\\",
            "\"",
            "\n",
            "ü",
            "{\"name\": \"now\", \"arguments\": {}}",
            "```json\n",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,6}",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// How often each mark stands in a text, however it is written.
fn marks(text: &str) -> [usize; 4] {
    let text = text.to_lowercase();
    [
        "<tool_call",
        "</tool_call",
        "<tool_response",
        "</tool_response",
    ]
    .map(|one| text.matches(one).count())
}

proptest! {
    #[test]
    fn nothing_from_outside_ends_its_mark_or_begins_another(
        content in hostile(), argument in hostile(), description in hostile(),
    ) {
        let mut asking = ChatMessage::text(Role::Assistant, "");
        asking.tool_calls = vec![call("a", "now", &json!({ "a": argument }).to_string())];
        let said = [asking, ChatMessage::tool_result("a", content.clone())];
        let told = messages(&said, &[spec("now", &description)]);
        let quiet = messages(&said, &[spec("now", "")]);
        prop_assert_eq!(marks(&told[0].content), marks(&quiet[0].content));
        prop_assert_eq!(told[0].content.matches("</tools>").count(), 1);
        prop_assert_eq!(marks(&told[1].content), [1, 1, 0, 0]);
        prop_assert_eq!(marks(&told[2].content), [0, 0, 1, 1]);
        let line = told[2].content.lines().nth(1).unwrap();
        let response: Value = serde_json::from_str(line).unwrap();
        prop_assert_eq!(&response["content"], &json!(content));
    }

    #[test]
    fn what_is_told_of_a_call_is_what_is_read_as_one(prose in "[a-z .]{0,12}", argument in hostile()) {
        let arguments = json!({ "expression": argument, "big": 9_007_199_254_740_993_u64 });
        let mut asking = ChatMessage::text(Role::Assistant, prose.trim());
        asking.tool_calls = vec![
            call("a", "math_solver", &arguments.to_string()),
            call("b", "now", ""),
        ];
        let told = messages(&[asking], &[]);
        let object = json!({"type": "object"});
        let tools = ["math_solver", "now"].map(|name| Tool { name, parameters: &object });
        let parsed = parse(&told[0].content, &tools, Ending::Done);
        let calls: Vec<_> = parsed.calls.iter().map(|call| (&*call.name, json!(call.arguments))).collect();
        prop_assert_eq!(calls, [("math_solver", arguments), ("now", json!({}))]);
        prop_assert!(parsed.repairs.is_empty() && parsed.refusals.is_empty());
        prop_assert_eq!(parsed.prose, prose.trim());
    }
}
