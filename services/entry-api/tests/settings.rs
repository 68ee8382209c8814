//! Settings of one message: which may be chosen, and what is said about the rest.

use nexus_contracts::settings::{Caching, OnBusy, Privacy, RunLimits, ToolPolicy};
use nexus_entry_api::request::parse;

#[test]
fn every_setting_may_be_chosen_for_one_message() {
    let event = parse(
        br#"{"text": "x", "provider": "demo", "model": "m", "tools": ["mail"],
             "parameters": {"temperature": 0.5, "max_tokens": 100}, "instructions": "be brief",
             "on_busy": "interrupt", "samples": 9, "tool_policy": {"mail": "ask", "*": "deny"},
             "approval_seconds": 60, "clarify": false,
             "aliases": {"place": {"office": "1 Main Street"}},
             "limits": {"steps": 3, "tokens": 4000, "cost_microusd": 50000, "seconds": 30},
             "context_tokens": {"*": 8000}, "summary_after": 0}"#,
    );
    let settings = event.unwrap().settings;
    assert_eq!(settings.parameters.as_ref().unwrap().temperature, Some(0.5));
    assert_eq!(settings.parameters.unwrap().max_tokens, Some(100));
    assert_eq!(settings.instructions.as_deref(), Some("be brief"));
    assert_eq!(
        (settings.on_busy, settings.samples),
        (Some(OnBusy::Interrupt), Some(9))
    );
    let policies = settings.tool_policy.unwrap();
    assert_eq!(
        (policies["mail"], policies["*"]),
        (ToolPolicy::Ask, ToolPolicy::Deny)
    );
    assert_eq!(
        (settings.approval_seconds, settings.clarify),
        (Some(60), Some(false))
    );
    assert_eq!(
        settings.aliases.unwrap()["place"]["office"],
        "1 Main Street"
    );
    let limits = RunLimits {
        steps: Some(3),
        tokens: Some(4000),
        cost_microusd: Some(50_000),
        seconds: Some(30),
    };
    assert_eq!(settings.limits, Some(limits));
    assert_eq!(settings.context_tokens.unwrap()["*"], 8000);
    assert_eq!(
        (settings.summary_after, settings.history_days),
        (Some(0), None)
    );
}

#[test]
fn where_it_may_go_and_how_it_is_sampled_is_taken_as_said() {
    let body = r#"{"text": "x", "privacy": "local_only", "cache": "semantic", "parameters":
        {"top_p": 0.5, "seed": 7, "response_format": {"type": "json_object"}}}"#;
    let settings = parse(body.as_bytes()).unwrap().settings;
    assert_eq!(settings.privacy, Some(Privacy::LocalOnly));
    assert_eq!(settings.cache, Some(Caching::Semantic));
    let sampling = settings.parameters.unwrap().extra;
    assert_eq!(sampling["top_p"], 0.5);
    assert_eq!(sampling["seed"], 7);
    assert_eq!(sampling["response_format"]["type"], "json_object");
}

/// A setting, and the code and a part of what is said about it.
const WRONG: &[(&str, &str, &str)] = &[
    (
        r#""samples": 0"#,
        "out_of_range",
        "`samples` must be a whole number from 1 to 9, not 0",
    ),
    (r#""samples": 10"#, "out_of_range", "not 10"),
    (r#""samples": 1.5"#, "out_of_range", "not 1.5"),
    (
        r#""samples": "3""#,
        "wrong_type",
        "a whole number, not a string",
    ),
    (
        r#""limits": {"steps": 0}"#,
        "out_of_range",
        "`limits.steps`",
    ),
    (
        r#""limits": {"tokens": -1}"#,
        "out_of_range",
        "`limits.tokens`",
    ),
    (
        r#""limits": {"step": 1}"#,
        "unknown_field",
        "did you mean `limits.steps`?",
    ),
    (r#""limits": [1]"#, "wrong_type", "an object, not a list"),
    (
        r#""parameters": {"temperature": 3}"#,
        "out_of_range",
        "from 0 to 2",
    ),
    (
        r#""parameters": {"top_k": 1}"#,
        "unknown_field",
        "`parameters.top_k`",
    ),
    (
        r#""on_busy": "wait""#,
        "unknown_word",
        "queue, interrupt, reject",
    ),
    (
        r#""on_busy": "quue""#,
        "unknown_word",
        "did you mean `queue`?",
    ),
    (
        r#""tool_policy": {"mail": "never"}"#,
        "unknown_word",
        "`tool_policy.mail`",
    ),
    (
        r#""tool_policy": {"": "ask"}"#,
        "empty_name",
        "`tool_policy`",
    ),
    (
        r#""context_tokens": {"*": 0}"#,
        "out_of_range",
        "`context_tokens.*`",
    ),
    (r#""clarify": "no""#, "wrong_type", "true or false"),
    (
        r#""aliases": {"place": "office"}"#,
        "wrong_type",
        "`aliases.place`",
    ),
    (
        r#""aliases": {"place": {"office": 1}}"#,
        "wrong_type",
        "from names to texts",
    ),
    (
        r#""approval_seconds": 0"#,
        "out_of_range",
        "`approval_seconds`",
    ),
    (r#""approval_seconds": 99999999"#, "out_of_range", "2592000"),
    (r#""summary_after": -1"#, "out_of_range", "`summary_after`"),
    (r#""instructions": """#, "empty_text", "`instructions`"),
    (r#""history_days": 1"#, "unknown_field", "`history_days`"),
    (
        r#""sampels": 1"#,
        "unknown_field",
        "did you mean `samples`?",
    ),
];

#[test]
fn what_is_wrong_with_a_setting_is_said_with_its_name() {
    for (setting, code, word) in WRONG {
        let body = format!("{{\"text\": \"x\", {setting}}}");
        let invalid = parse(body.as_bytes()).unwrap_err();
        assert_eq!(
            (invalid.status, invalid.code),
            (422, *code),
            "{body}: {}",
            invalid.detail
        );
        assert!(invalid.detail.contains(word), "{body}: {}", invalid.detail);
    }
}
