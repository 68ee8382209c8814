//! Histories as the API takes them.

use nexus_contracts::chat::{ChatMessage, Image, Role, ToolCall};
use serde_json::{Value, json};

use super::{history, system};

pub(in super::super) fn user(text: &str) -> ChatMessage {
    ChatMessage::text(Role::User, text)
}

fn assistant(text: &str) -> ChatMessage {
    ChatMessage::text(Role::Assistant, text)
}

pub(in super::super) fn calling(text: &str, calls: &[(&str, &str, &str)]) -> ChatMessage {
    let calls = calls.iter().map(|(id, name, arguments)| ToolCall {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
    });
    ChatMessage {
        tool_calls: calls.collect(),
        ..assistant(text)
    }
}

fn with(mut message: ChatMessage, name: &str, value: Value) -> ChatMessage {
    message.extra.insert(name.to_owned(), value);
    message
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// The turns that become of these messages.
fn turns(messages: &[ChatMessage]) -> Value {
    history(messages).unwrap().messages.into()
}

#[test]
fn turns_alternate_and_results_come_first() {
    let turns = turns(&[
        user("a"),
        user("b"),
        calling("c", &[("1", "f", ""), ("2", "g", "{}")]),
        assistant("d"),
        user("wait"),
        ChatMessage::tool_result("2", "two"),
        ChatMessage::tool_result("1", ""),
        user("go on"),
    ]);
    let call =
        |id: &str, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    assert_eq!(
        turns,
        json!([
            {"role": "user", "content": [text("a"), text("b")]},
            {"role": "assistant", "content":
                [text("c"), call("1", "f"), call("2", "g"), text("d")]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "2", "content": "two"},
                {"type": "tool_result", "tool_use_id": "1"},
                text("wait"), text("go on")]},
        ])
    );
}

#[test]
fn blanks_are_never_sent() {
    let mut messages = vec![
        ChatMessage::text(Role::System, " "),
        user("a"),
        assistant(" \n"),
        user("b"),
        assistant("The answer is \n"),
    ];
    assert_eq!(system(&messages), None);
    let asked = json!({"role": "user", "content": [text("a"), text("b")]});
    assert_eq!(
        turns(&messages),
        json!([asked, {"role": "assistant", "content": [text("The answer is")]}])
    );
    // Blanks at the end are only refused where the model would go on behind them.
    messages.push(user("c"));
    assert_eq!(
        turns(&messages)[1]["content"],
        json!([text("The answer is \n")])
    );
}

#[test]
fn thinking_goes_back_unchanged_within_the_turn() {
    let sealed = json!({"type": "thinking", "thinking": "hm", "signature": "EqQB"});
    let redacted = json!({"type": "redacted_thinking", "data": "Emwk"});
    let cut = json!({"type": "thinking", "thinking": "h", "signature": ""});
    let thought = |message: ChatMessage| {
        let blocks = json!([sealed, redacted, cut]);
        with(message, "thinking_blocks", blocks)
    };
    let working = thought(calling("So:", &[("1", "f", "{}")]));
    let result = ChatMessage::tool_result("1", "2");
    let call = json!({"type": "tool_use", "id": "1", "name": "f", "input": {}});
    let mut messages = vec![user("a"), working, result];
    let sent = turns(&messages);
    assert_eq!(
        sent[1]["content"],
        json!([sealed, redacted, text("So:"), call])
    );
    // When the turn is over it is dropped, here and in the answer to the person.
    messages.extend([thought(assistant("Two.")), user("b")]);
    let sent = turns(&messages);
    assert_eq!(sent[1]["content"], json!([text("So:"), call]));
    assert_eq!(sent[3]["content"], json!([text("Two.")]));
    // Thinking alone is no answer.
    let sent = turns(&[user("a"), thought(assistant(""))]);
    assert_eq!(sent.as_array().unwrap().len(), 1);
}

#[test]
fn blocks_go_back_as_they_came_while_they_say_the_same() {
    let blocks = json!([
        {"type": "thinking", "thinking": "one", "signature": "E"},
        text("First."),
        {"type": "thinking", "thinking": "two", "signature": "F"},
        text("\n"),
        {"type": "server_tool_use", "id": "srv", "name": "web_fetch", "input": {"url": "u"}},
        {"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1},
            "caller": {"type": "direct"}},
    ]);
    let working = with(
        calling("First.\n", &[("1", "f", r#"{"x":1}"#)]),
        "blocks",
        blocks.clone(),
    );
    let result = ChatMessage::tool_result("1", "2");
    let sent = turns(&[user("a"), working.clone(), result.clone()]);
    let mut expected = blocks;
    expected.as_array_mut().unwrap().remove(3);
    assert_eq!(sent[1]["content"], expected);
    // Somebody changed the words.
    let changed = ChatMessage {
        content: "Second.".to_owned(),
        ..working.clone()
    };
    let plain = json!({"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}});
    let sent = turns(&[user("a"), changed, result.clone()]);
    assert_eq!(sent[1]["content"], json!([text("Second."), plain]));
    // The turn is over.
    let sent = turns(&[user("a"), working, result, user("b")]);
    assert_eq!(sent[1]["content"], json!([text("First.\n"), plain]));
}

#[test]
fn ids_and_names_of_other_providers_are_made_fit() {
    let sent = turns(&[
        user("a"),
        calling(
            "",
            &[("call_0", "functions.f", "{}"), ("call_0", "g", "{}")],
        ),
        ChatMessage::tool_result("call_0", "1"),
        ChatMessage::tool_result("call_0", "2"),
        calling("", &[("call_0", "f", "{}"), ("a:1/é", "f", "{}")]),
        ChatMessage::tool_result("a:1/é", "4"),
        ChatMessage::tool_result("call_0", "3"),
    ]);
    let pairs = |turn: usize, id: &str, other: &str| -> Vec<(String, String)> {
        let blocks = sent[turn]["content"].as_array().unwrap();
        let word = |block: &Value, name: &str| block[name].as_str().unwrap().to_owned();
        blocks
            .iter()
            .map(|b| (word(b, id), word(b, other)))
            .collect()
    };
    let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
    assert_eq!(
        pairs(1, "id", "name"),
        [pair("call_0", "functions_f"), pair("call_0_2", "g")]
    );
    assert_eq!(
        pairs(2, "tool_use_id", "content"),
        [pair("call_0", "1"), pair("call_0_2", "2")]
    );
    assert_eq!(
        pairs(3, "id", "name"),
        [pair("call_0_3", "f"), pair("a_1__", "f")]
    );
    assert_eq!(
        pairs(4, "tool_use_id", "content"),
        [pair("a_1__", "4"), pair("call_0_3", "3")]
    );
}

#[test]
fn arguments_that_are_no_object_are_shown_to_the_model() {
    for (arguments, input) in [
        ("", json!({})),
        (" ", json!({})),
        (r#"{"x": [1.5]}"#, json!({"x": [1.5]})),
        ("{\"x\": ", json!({"INVALID_JSON": "{\"x\": "})),
        ("[1]", json!({"INVALID_JSON": "[1]"})),
    ] {
        let messages = [
            user("a"),
            calling("", &[("1", "f", arguments)]),
            ChatMessage::tool_result("1", "error"),
        ];
        assert_eq!(turns(&messages)[1]["content"][0]["input"], input);
    }
}

#[test]
fn marks_for_the_cache_go_to_the_last_block() {
    let mark = json!({"type": "ephemeral"});
    let marked = |message| with(message, "cache_control", mark.clone());
    let messages = [
        ChatMessage::text(Role::System, "a"),
        marked(ChatMessage::text(Role::System, "b")),
        user("c"),
        marked(calling("d", &[("1", "f", "{}")])),
        marked(ChatMessage::tool_result("1", "e")),
        user("f"),
    ];
    assert_eq!(
        system(&messages),
        Some(json!([text("a"), {"type": "text", "text": "b", "cache_control": mark}]))
    );
    let sent = turns(&messages);
    assert_eq!(sent[1]["content"][0], text("d"));
    assert_eq!(sent[1]["content"][1]["cache_control"], mark);
    assert_eq!(sent[2]["content"][0]["cache_control"], mark);
    assert_eq!(sent[2]["content"][1], text("f"));
}

#[test]
fn what_cannot_be_carried_is_said() {
    for messages in [
        vec![],
        vec![ChatMessage::text(Role::System, "s"), user(" ")],
        vec![assistant("Hello!"), user("Hi")],
        vec![user("Hi"), ChatMessage::text(Role::Tool, "2")],
    ] {
        assert!(history(&messages).is_err());
    }
}

#[test]
fn pictures_stand_before_the_words_about_them() {
    let mut message = user("What is this?");
    message.images = ["https://example.org/a.png", "data:image/png;base64,aGk="]
        .map(|url| Image {
            url: url.to_owned(),
            detail: None,
        })
        .to_vec();
    assert_eq!(
        turns(&[message])[0]["content"],
        json!([
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            {"type": "image", "source":
                {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            text("What is this?"),
        ])
    );
}
