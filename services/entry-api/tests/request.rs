//! Bodies of `POST /v1/messages`: what is taken, and what is said about the rest.

use nexus_contracts::events::message::MAX_TEXT_BYTES;
use nexus_entry_api::request::{Invalid, Known, MAX_BODY_BYTES, check_names, parse};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

fn refused(body: &str) -> Option<Invalid> {
    parse(body.as_bytes()).err()
}

#[test]
fn everything_a_message_may_say_is_taken() {
    let event = parse(
        br#"{"text": "hello", "conversation_id": "0197a5f0-0000-7000-8000-000000000001",
             "provider": "demo", "model": "demo-1", "tools": [], "metadata": {"a": [1]}}"#,
    )
    .unwrap();
    assert_eq!(event.text, "hello");
    assert_eq!(event.settings.provider.as_deref(), Some("demo"));
    assert_eq!(event.settings.tools, Some(vec![]));
    assert_eq!(event.metadata.get("a"), Some(&serde_json::json!([1])));
    assert!(event.conversation_id.is_some());
}

#[test]
fn absent_and_null_are_the_same() {
    let bare = parse(br#"{"text": "x"}"#).unwrap();
    let nulls = parse(
        br#"{"text": "x", "conversation_id": null, "provider": null, "model": null,
             "tools": null, "metadata": null}"#,
    );
    assert_eq!(nulls.unwrap(), bare);
}

#[test]
fn what_cannot_be_read_is_400_and_says_where() {
    for (body, word) in [
        ("", "empty"),
        ("   ", "empty"),
        ("{\"text\": ", "line 1 column"),
        ("[]", "a list"),
        ("\"hello\"", "a string"),
        ("{'text': 'x'}", "not JSON"),
    ] {
        let invalid = refused(body).unwrap();
        assert_eq!(
            (invalid.status, invalid.code),
            (400, "malformed_request"),
            "{body}"
        );
        assert!(invalid.detail.contains(word), "{body}: {}", invalid.detail);
    }
    let invalid = parse(b"{\"text\": \"\xff\"}").unwrap_err();
    assert_eq!(invalid.status, 400);
    assert!(
        invalid.detail.contains("not UTF-8 from byte 10"),
        "{}",
        invalid.detail
    );
}

#[test]
fn what_is_too_long_is_413() {
    let long = "a".repeat(MAX_TEXT_BYTES + 1);
    let metadata = format!(
        "{{\"text\":\"x\",\"metadata\":{{\"a\":\"{}\"}}}}",
        "b".repeat(20_000)
    );
    let name = format!("{{\"text\":\"x\",\"model\":\"{}\"}}", "m".repeat(300));
    for body in [
        format!("{{\"text\":\"{long}\"}}"),
        metadata,
        name,
        " ".repeat(MAX_BODY_BYTES + 1),
    ] {
        assert_eq!(refused(&body).unwrap().status, 413);
    }
    let most = format!("{{\"text\":\"{}\"}}", "a".repeat(MAX_TEXT_BYTES));
    assert!(parse(most.as_bytes()).is_ok());
}

#[test]
fn what_is_readable_but_wrong_is_422_and_says_what_to_do() {
    for (body, code, word) in [
        (r"{}", "missing_field", "`text`"),
        (r#"{"text": ""}"#, "empty_text", "says nothing"),
        (r#"{"text": " \n"}"#, "empty_text", "says nothing"),
        (r#"{"text": 7}"#, "wrong_type", "a string, not a number"),
        (r#"{"text": "a\u0000b"}"#, "nul_character", "at byte 1"),
        (
            r#"{"text": "x", "tools": "all"}"#,
            "wrong_type",
            "a list of names",
        ),
        (r#"{"text": "x", "tools": [1]}"#, "wrong_type", "a number"),
        (
            r#"{"text": "x", "metadata": []}"#,
            "wrong_type",
            "an object, not a list",
        ),
        (
            r#"{"text": "x", "provider": ""}"#,
            "empty_name",
            "leave it out",
        ),
        (
            r#"{"text": "x", "conversation_id": "7"}"#,
            "bad_conversation_id",
            "not a UUID",
        ),
        (r#"{"txt": "x"}"#, "unknown_field", "did you mean `text`?"),
        (
            r#"{"text": "x", "converstion_id": "y"}"#,
            "unknown_field",
            "`conversation_id`",
        ),
    ] {
        let invalid = refused(body).unwrap();
        assert_eq!(
            (invalid.status, invalid.code),
            (422, code),
            "{body}: {}",
            invalid.detail
        );
        assert!(invalid.detail.contains(word), "{body}: {}", invalid.detail);
    }
}

#[test]
fn an_unknown_provider_is_refused_with_the_nearest_and_all_names() {
    let event = parse(br#"{"text": "x", "provider": "opnai"}"#).unwrap();
    let names = |list: &[&str]| Some(list.iter().map(ToString::to_string).collect());
    let known = Known {
        providers: names(&["demo", "openai"]),
        tools: None,
    };
    let invalid = check_names(&event.settings, &known).unwrap_err();
    assert_eq!((invalid.status, invalid.code), (422, "unknown_provider"));
    assert!(
        invalid.detail.contains("did you mean `openai`?"),
        "{}",
        invalid.detail
    );
    assert!(
        invalid.detail.contains("demo, openai"),
        "{}",
        invalid.detail
    );

    let event = parse(br#"{"text": "x", "tools": ["math_solvr"]}"#).unwrap();
    let known = Known {
        providers: None,
        tools: names(&["current_time", "math_solver"]),
    };
    let invalid = check_names(&event.settings, &known).unwrap_err();
    assert_eq!(invalid.code, "unknown_tool");
    let event = parse(br#"{"text": "x", "tool_policy": {"math_solvr": "deny", "*": "ask"}}"#);
    let unsafe_one = check_names(&event.unwrap().settings, &known).unwrap_err();
    assert_eq!(unsafe_one.detail, invalid.detail);
    assert!(
        invalid.detail.contains("did you mean `math_solver`?"),
        "{}",
        invalid.detail
    );
}

#[test]
fn while_the_names_are_not_known_the_orchestrator_decides() {
    let event = parse(br#"{"text": "x", "provider": "anything", "tools": ["any"]}"#).unwrap();
    assert!(check_names(&event.settings, &Known::default()).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in vec(any::<u8>(), 0..200)) {
        if let Err(invalid) = parse(&body) {
            prop_assert!([400, 413, 422].contains(&invalid.status));
            prop_assert!(!invalid.detail.is_empty());
        }
    }

    #[test]
    fn any_text_without_nul_comes_through_unchanged(text in "[^\0]{1,200}") {
        let body = serde_json::json!({ "text": text }).to_string();
        match parse(body.as_bytes()) {
            Ok(event) => prop_assert_eq!(event.text, text),
            Err(invalid) => {
                prop_assert_eq!(invalid.code, "empty_text");
                prop_assert!(text.trim().is_empty());
            }
        }
    }
}
