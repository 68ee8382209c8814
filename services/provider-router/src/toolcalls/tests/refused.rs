//! What is refused, and in what words.

use super::{check, read};
use crate::toolcalls::{MAX_CALL_BYTES, MAX_CALLS, MAX_REFUSALS, Reason};

/// A text that comes back whole, with this refusal.
fn check_refused(table: &[(&str, &str)]) {
    let table: Vec<(&str, String)> = table
        .iter()
        .map(|(text, refusals)| (*text, format!("{text:?} {refusals}").trim_end().to_owned()))
        .collect();
    let table: Vec<(&str, &str)> = table
        .iter()
        .map(|(text, line)| (*text, line.as_str()))
        .collect();
    check(&table);
}

const REFUSED: &[(&str, &str)] = &[
    (
        "<tool_call>{\"name\":\"get_wether\",\"arguments\":{}}</tool_call>",
        "!unknown_tool",
    ),
    (
        "<tool_call>{\"name\":\"rm\",\"arguments\":{}}</tool_call>",
        "!unknown_tool",
    ),
    (r#"{"name":"get_wether","arguments":{}}"#, "!unknown_tool"),
    ("<tool_call>{\"city\":\"Paris\"}</tool_call>", "!no_name"),
    ("<tool_call>[1]</tool_call>", "!no_name"),
    (
        r#"{"name":"search","arguments":[1]}"#,
        "!arguments_not_object",
    ),
    (
        r#"{"name":"search","arguments":"Paris"}"#,
        "!arguments_not_object",
    ),
    (
        r#"{"name":"search","arguments":"{\"q\":1} or so"}"#,
        "!arguments_not_object",
    ),
    (
        "<tool_call>{\"name\":\"search\",\"q\":1}</tool_call>",
        "!stray_key",
    ),
    (r#"{"name":"search","arguments":{"q":"Par"#, "!cut_off"),
    (r#"{"name":"search","arguments":{"q":12"#, "!cut_off"),
    (r#"{"name":"search","arguments":{"q":tru"#, "!cut_off"),
    (r#"{"name":"search","arguments":{"q":1,"#, "!cut_off"),
    (r#"{"name":"search","arguments":{"q":"#, "!cut_off"),
    (r#"{"name":"search","arguments":{"q""#, "!cut_off"),
    (r#"{"name":"search","arguments":{"#, "!cut_off"),
    (r#"{"name":"search","arguments":"#, "!cut_off"),
    (
        r#"{"name":"get_weather","arguments":{"days":1 "#,
        "!cut_off",
    ),
    ("<function=search><parameter=q>Par", "!cut_off"),
    (
        "<function=search><parameter=q>x</parameter><param",
        "!cut_off",
    ),
    (
        "<tool_call>search<arg_key>q</arg_key><arg_value>x</arg_value></tool",
        "!cut_off",
    ),
    (
        "<function=search><parameter=q>x</parameter>and</function>",
        "!malformed:unexpected",
    ),
    (
        "<function=get_weather><parameter=days>3</parameter>",
        "!cut_off",
    ),
    ("[search(q=\"x\", ", "!cut_off"),
    (
        r#"{"name":"search","arguments":{"q":1,"q":2}}"#,
        "!duplicate_key",
    ),
    (
        r#"{"name":"search","arguments":{"q":1},"arguments":{}}"#,
        "!duplicate_key",
    ),
    ("[search(q=1, q=2)]", "!duplicate_key"),
    (
        "<function=search><parameter=q>1</parameter><parameter=q>2</parameter></function>",
        "!duplicate_key",
    ),
    (
        r#"{"name":"search","arguments":{},"parameters":{}}"#,
        "!ambiguous:two_arguments",
    ),
    (
        r#"{"name":"search","tool":"now","arguments":{}}"#,
        "!ambiguous:two_names",
    ),
    (
        r#"{"name":"search","arguments":{"q":"say "x" now"}}"#,
        "!ambiguous:unescaped_quote",
    ),
    (
        "{'name':'search','arguments':{'q':'it's'}}",
        "!ambiguous:unescaped_quote",
    ),
    (
        "{“name”:“search”,“arguments”:{“q\": 1, \"b”: 2}}",
        "!ambiguous:unescaped_quote",
    ),
    (r#"[{"name":"now","arguments":{}}, 7]"#, "!ambiguous:mixed"),
    (
        "```json\n{\"name\":\"now\",\"arguments\":{}}\nThat is it.\n```",
        "!ambiguous:mixed",
    ),
    (
        "Call `{\"name\":\"now\",\"arguments\":{}}` for it.",
        "!ambiguous:quoted",
    ),
    (
        "Call `<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>`.",
        "!ambiguous:quoted",
    ),
    (
        "curl -d '{\"name\":\"now\",\"arguments\":{}}' x",
        "!ambiguous:quoted",
    ),
    ("[now()] and then I answer", "!ambiguous:quoted"),
    ("[search(\"x\")]", "!positional"),
    (
        "<function=get_weather><parameter=city>x</parameter><parameter=days>soon</parameter></function>",
        "!mistyped",
    ),
    (
        "<function=get_weather><parameter=city>x</parameter><parameter=days>1.5</parameter></function>",
        "!mistyped",
    ),
    (
        r#"{"name":"search","arguments":{"q":123456789012345678901}}"#,
        "!malformed:number",
    ),
    (
        r#"{"name":"search","arguments":{"q":007}}"#,
        "!malformed:number",
    ),
    (
        r#"{"name":"search","arguments":{"q":NaN}}"#,
        "!malformed:unexpected",
    ),
    (
        r#"{"name":"search","arguments":{"q":"\d"}}"#,
        "!malformed:escape",
    ),
    (
        r#"{"name":"search","arguments":{"q":"\ud800"}}"#,
        "!malformed:escape",
    ),
    (
        "{\"name\":\"search\",\"arguments\":{\"q\":\"\u{1}\"}}",
        "!malformed:control",
    ),
    (
        r#"{"name":"search","arguments":{"q":1 "r":2}}"#,
        "!malformed:unexpected",
    ),
    (
        r#"{"name":"search","arguments":{q:1}}"#,
        "!malformed:unexpected",
    ),
    (
        r#"{"name":"search","arguments":{"q":[1,,2]}}"#,
        "!malformed:unexpected",
    ),
    ("<tool_call>{oops}</tool_call>", "!malformed:unexpected"),
];

#[test]
fn what_has_no_reading_or_several_is_refused() {
    check_refused(REFUSED);
}

#[test]
fn nothing_inside_a_broken_call_becomes_one() {
    check_refused(&[
        (
            r#"{"name":"search" oops, "arguments": {"name":"now","arguments":{}}} x"#,
            "",
        ),
        (
            "<tool_call>{\"name\":\"search\" oops, \"arguments\": {\"name\":\"now\",\"arguments\":{}}}</tool_call>",
            "!ambiguous:unescaped_quote",
        ),
        (
            r#"{"name":"search","arguments":{"a":x, "b":{"name":"now","arguments":{}}}}"#,
            "!malformed:unexpected",
        ),
        (
            "<function=search><parameter=q>{\"name\":\"now\",\"arguments\":{}}",
            "!cut_off",
        ),
    ]);
}

#[test]
fn what_follows_a_broken_call_is_read() {
    check(&[
        (
            "{\"name\": oops}\n{\"name\":\"now\",\"arguments\":{}}",
            r#""{\"name\": oops}" now{}"#,
        ),
        (
            "{\"name\": oops\n\n{\"name\":\"now\",\"arguments\":{}}",
            r#""{\"name\": oops" now{}"#,
        ),
        (
            "<tool_call>{x</tool_call>\n<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>",
            r#""<tool_call>{x</tool_call>" now{} !malformed:unexpected"#,
        ),
        (
            "he said {\"oops <tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>",
            r#""he said {\"oops" now{}"#,
        ),
        (
            "<tool_call>[{\"name\":\"now\",\"arguments\":{}},{\"name\":\"rm\",\"arguments\":{}}]</tool_call>",
            r#""" now{} !unknown_tool"#,
        ),
    ]);
}

#[test]
fn the_words_say_what_to_do() {
    let said = |text: &str| read(text).refusals[0].reason.to_string();
    assert_eq!(
        said("<tool_call>{\"name\":\"get_wether\",\"arguments\":{}}</tool_call>"),
        "there is no tool `get_wether`; did you mean `get_weather`?"
    );
    assert_eq!(
        said("<tool_call>{\"name\":\"delete_all\",\"arguments\":{}}</tool_call>"),
        "there is no tool `delete_all`"
    );
    assert_eq!(
        said(r#"{"name":"search","arguments":{"q":007}}"#),
        "the call is not valid JSON: a number that cannot be kept exactly; write it as a string, \
         at byte 37 of the answer"
    );
    assert_eq!(
        said("<function=get_weather><parameter=metric>x</parameter></function>"),
        "`metric` of `get_weather` must be boolean or null"
    );
}

#[test]
fn length_is_bounded() {
    let long = "x".repeat(MAX_CALL_BYTES + 1);
    for text in [
        format!("{{\"name\":\"search\",\"arguments\":{{\"q\":\"{long}\"}}}}"),
        format!("<function=search><parameter=q>{long}</parameter></function>"),
        format!("[search(q='{long}')]"),
    ] {
        let parsed = read(&text);
        assert_eq!(parsed.prose, text);
        assert_eq!(parsed.refusals.len(), 1);
        assert_eq!(parsed.refusals[0].reason, Reason::TooLong);
    }
}

#[test]
fn depth_and_number_are_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("{{\"name\":\"search\",\"arguments\":{{\"q\":{open}{close}}}}}")
    };
    assert_eq!(read(&nested(62)).calls.len(), 1);
    assert_eq!(read(&nested(63)).refusals[0].reason, Reason::TooDeep);
    let call = "{\"name\":\"now\",\"arguments\":{}}\n";
    let parsed = read(&call.repeat(MAX_CALLS + 2));
    assert_eq!(parsed.calls.len(), MAX_CALLS);
    assert_eq!(parsed.refusals.len(), 1);
    assert_eq!(parsed.refusals[0].reason, Reason::TooMany);
    let broken = read(&"<tool_call>{x</tool_call>".repeat(100));
    assert_eq!(broken.refusals.len(), MAX_REFUSALS);
}
