//! What is repaired, and that it is said.

use super::{check, line_of, read_cut};

const REPAIRED: &[(&str, &str)] = &[
    (
        r#"{"name":"search","arguments":{"q":[1,2,],},}"#,
        r#""" search{"q":[1,2]} +0:trailing_comma"#,
    ),
    (
        r#"{'name':'search','arguments':{'q':'say \'x\' and "y"'}}"#,
        r#""" search{"q":"say 'x' and \"y\""} +0:single_quotes"#,
    ),
    (
        "{“name”:“search”,“arguments”:{“q”:“x”}}",
        r#""" search{"q":"x"} +0:smart_quotes"#,
    ),
    (
        "{\"name\":\"search\",\"arguments\":{\"q\":\"one\ntwo\tthree\"}}",
        r#""" search{"q":"one\ntwo\tthree"} +0:raw_newline"#,
    ),
    (
        r#"{"name":"search","arguments":{"q":"it\'s"}}"#,
        r#""" search{"q":"it's"} +0:escape"#,
    ),
    (
        r#"{"name":"search","arguments":{"q":[True,False,None]}}"#,
        r#""" search{"q":[true,false,null]} +0:python_word"#,
    ),
    (
        "{\"name\":\"search\", // the tool\n/* all */ \"arguments\":{} # none\n}",
        r#""" search{} +0:comment"#,
    ),
    (
        r#"{"name":"search","arguments":{"q":1}}}"#,
        r#""" search{"q":1} +0:extra_bracket"#,
    ),
    (
        "<tool_call>{\"name\":\"search\",\"arguments\":{\"q\":1}}}\n</tool_call>",
        r#""" search{"q":1} +0:extra_bracket"#,
    ),
    (
        "<tool_call>{\"name\":\"now\",\"arguments\":{}}",
        r#""" now{} +0:missing_end"#,
    ),
    (
        "<tool_call>{\"name\":\"now\",\"arguments\":{}}\nI wait.",
        r#""I wait." now{} +0:missing_end"#,
    ),
    (
        "<tool_call>{\"name\":\"now\",\"arguments\":{}}<tool_call>{\"name\":\"search\",\"arguments\":{}}</tool_call>",
        r#""" now{} search{} +0:missing_end"#,
    ),
    (
        "```json\n{\"name\":\"now\",\"arguments\":{}}",
        r#""" now{} +0:missing_end"#,
    ),
    (
        "<tool_call>{\"name\":\"now\"}</tool_call>",
        r#""" now{} +0:no_arguments"#,
    ),
    (
        "<tool_call>{\"name\":\"now\",\"arguments\":null}</tool_call>",
        r#""" now{} +0:no_arguments"#,
    ),
    (
        r#"{"name":"functions.search","arguments":{}}"#,
        r#""" search{} +0:name_prefix"#,
    ),
    (
        "[default_api.search(q=1)]",
        r#""" search{"q":1} +0:name_prefix"#,
    ),
    (
        "<function=get_weather><parameter=city>Rome</parameter><parameter=metric>True</parameter></function>",
        r#""" get_weather{"city":"Rome","metric":true} +0:python_word"#,
    ),
    (
        r#"{"name":"search","arguments":"{'q': 1,}"}"#,
        r#""" search{"q":1} +0:trailing_comma +0:single_quotes"#,
    ),
];

#[test]
fn what_has_one_reading_is_repaired() {
    check(REPAIRED);
}

/// Text, and what it comes to when the model was done and when it was stopped.
const CUT: [(&str, &str); 9] = [
    (
        r#"{"name":"search","arguments":{"q":"x"}"#,
        r#""" search{"q":"x"} +0:unclosed"#,
    ),
    (
        r#"{"name":"search","arguments":{"q":"x""#,
        r#""" search{"q":"x"} +0:unclosed"#,
    ),
    (
        r#"{"name":"search","arguments":{"q":[true"#,
        r#""" search{"q":[true]} +0:unclosed"#,
    ),
    (
        "{\"name\":\"search\",\"arguments\":{\"q\":1\n",
        r#""" search{"q":1} +0:unclosed"#,
    ),
    (
        r#"[{"name":"search","arguments":{}}"#,
        r#""" search{} +0:unclosed"#,
    ),
    (
        r#"[search(q="x"), now()"#,
        r#""" search{"q":"x"} now{} +1:unclosed"#,
    ),
    (r#"[search(q="x""#, r#""" search{"q":"x"} +0:unclosed"#),
    (
        "<function=search><parameter=q>x</parameter>",
        r#""" search{"q":"x"} +0:unclosed"#,
    ),
    (
        "<tool_call>{\"name\":\"search\",\"arguments\":{\"q\":\"x\"",
        r#""" search{"q":"x"} +0:unclosed +0:missing_end"#,
    ),
];

#[test]
fn missing_brackets_are_added_when_the_model_was_done() {
    check(&CUT);
}

#[test]
fn nothing_is_added_when_the_model_was_stopped() {
    for (text, _) in CUT {
        let parsed = read_cut(text);
        assert_eq!(line_of(&parsed), format!("{text:?} !cut_off"), "{text}");
    }
}

#[test]
fn half_an_end_mark_is_no_prose() {
    check(&[
        (
            "<tool_call>{\"name\":\"now\",\"arguments\":{}}\n</tool",
            r#""" now{} +0:missing_end"#,
        ),
        (
            "```json\n{\"name\":\"now\",\"arguments\":{}}\n``",
            r#""" now{} +0:missing_end"#,
        ),
        ("<function=now>{}</func", r#""" now{} +0:missing_end"#),
    ]);
}

#[test]
fn an_end_tag_ends_what_lacks_brackets() {
    check(&[
        (
            "<tool_call>{\"name\":\"search\",\"arguments\":{\"q\":1}</tool_call>Next",
            r#""Next" search{"q":1} +0:unclosed"#,
        ),
        (
            "```json\n{\"name\":\"search\",\"arguments\":{\"q\":1}\n```\nNext",
            r#""Next" search{"q":1} +0:unclosed"#,
        ),
        (
            "<tool_call><function=search><parameter=q>1</parameter></tool_call>",
            r#""" search{"q":"1"} +0:unclosed"#,
        ),
    ]);
}
