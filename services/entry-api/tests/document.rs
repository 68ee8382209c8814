//! Documents to import: what is taken, and which field the rest is refused for.

use nexus_entry_api::request::parse_document;

fn with(messages: &str) -> String {
    format!(r#"{{"format": "nexus.conversation", "version": 1, "messages": {messages}}}"#)
}

#[test]
fn what_is_not_known_is_kept() {
    let good = with(r#"[{"role": "user", "text": "x", "future": 1}]"#);
    let document = parse_document(good.as_bytes()).unwrap();
    assert_eq!(document.messages[0].extra["future"], 1);
}

#[test]
fn a_document_says_which_field_is_wrong() {
    let long = with(&format!(
        r#"[{{"role": "user", "text": "{}"}}]"#,
        "x".repeat(300_000)
    ));
    for (body, status, word) in [
        ("{", 400, "not JSON"),
        ("[]", 422, "does not read"),
        ("{}", 422, "`format`"),
        (
            r#"{"format": "other", "version": 1, "messages": []}"#,
            422,
            "`format` must be",
        ),
        (
            r#"{"format": "nexus.conversation", "version": 2, "messages": []}"#,
            422,
            "`version` must be 1",
        ),
        (&with("[]"), 422, "`messages` says nothing"),
        (&with("7"), 422, "`messages`"),
        (
            &with(r#"[{"role": "user"}]"#),
            422,
            "`messages[0]`: missing field `text`",
        ),
        (
            &with(r#"[{"role": "system", "text": "x"}]"#),
            422,
            "`messages[0].role`",
        ),
        (
            &with(r#"[{"role": "user", "text": "a\u0000"}]"#),
            422,
            "`messages[0].text`",
        ),
        (
            &with(r#"[{"role": "user", "text": "x", "at": "now"}]"#),
            422,
            "`messages[0].at`",
        ),
        (&long, 413, "`messages[0].text`"),
    ] {
        let invalid = parse_document(body.as_bytes()).unwrap_err();
        let shown: String = body.chars().take(99).collect();
        assert_eq!(invalid.status, status, "{shown}: {}", invalid.detail);
        assert!(invalid.detail.contains(word), "{shown}: {}", invalid.detail);
        assert!(
            !invalid.detail.contains("at line") || status == 400,
            "{}",
            invalid.detail
        );
    }
}
