//! Every format as its models write it, and what only looks like a call.

use super::{check, check_prose};

const FORMATS: &[(&str, &str)] = &[
    (
        r#"{"name": "search", "arguments": {"q": "x"}}"#,
        r#""" search{"q":"x"}"#,
    ),
    (
        r#"{"name": "search", "parameters": {"q": "x"}}"#,
        r#""" search{"q":"x"}"#,
    ),
    (
        r#"{"tool": "search", "args": {"q": "x"}}"#,
        r#""" search{"q":"x"}"#,
    ),
    (
        r#"{"type":"tool_use","id":"t1","name":"search","input":{"q":"x"}}"#,
        r#""" search{"q":"x"}"#,
    ),
    (
        r#"[{"name":"now","arguments":{}},{"name":"search","arguments":{"q":1}}]"#,
        r#""" now{} search{"q":1}"#,
    ),
    (
        "<tool_call>\n{\"name\": \"search\", \"arguments\": {\"q\": \"x\"}}\n</tool_call>",
        r#""" search{"q":"x"}"#,
    ),
    (
        "<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"search\",\"arguments\":{}}</tool_call>",
        r#""" now{} search{}"#,
    ),
    (
        "<tool_call>[{\"name\":\"now\",\"arguments\":{}}]</tool_call>",
        r#""" now{}"#,
    ),
    (
        "<tool_call>\n```json\n{\"name\":\"now\",\"arguments\":{}}\n```\n</tool_call>",
        r#""" now{}"#,
    ),
    (
        "<|tool_call|>[{\"name\":\"now\",\"arguments\":{}}]<|/tool_call|>",
        r#""" now{}"#,
    ),
    (
        "<|START_ACTION|>[{\"tool_call_id\":\"0\",\"tool_name\":\"now\",\"parameters\":{}}]<|END_ACTION|>",
        r#""" now{}"#,
    ),
    (
        "[TOOL_CALLS][{\"name\": \"search\", \"arguments\": {\"q\": [1]}}]",
        r#""" search{"q":[1]}"#,
    ),
    (
        "[TOOL_CALLS] [{\"name\":\"now\",\"arguments\":{},\"id\":\"a1\"}]</s>",
        r#""" now{}"#,
    ),
    (
        "[TOOL_CALLS]search[ARGS]{\"q\":1}[TOOL_CALLS]now[CALL_ID]9x[ARGS]{}",
        r#""" search{"q":1} now{}"#,
    ),
    (
        "<|python_tag|>{\"name\":\"search\",\"parameters\":{\"q\":1}}; {\"name\":\"now\",\"parameters\":{}}<|eom_id|>",
        r#""" search{"q":1} now{}"#,
    ),
    (
        "<|python_tag|>search.call(q=\"x\")",
        r#""" search{"q":"x"}"#,
    ),
    (
        r#"[get_weather(city="Paris", days=3), now()]"#,
        r#""" get_weather{"city":"Paris","days":3} now{}"#,
    ),
    (
        r#"[search(q={'a': [1, None, True]})]"#,
        r#""" search{"q":{"a":[1,null,true]}}"#,
    ),
    (
        "```tool_code\nprint(get_weather(city='Paris'))\n```",
        r#""" get_weather{"city":"Paris"}"#,
    ),
    (
        "```tool_code\nsearch(q=1)\nnow()\n```",
        r#""" search{"q":1} now{}"#,
    ),
    (
        "```json\n{\"name\":\"now\",\"arguments\":{}}\n```",
        r#""" now{}"#,
    ),
    (
        "```tool_call\n{\"name\":\"now\",\"arguments\":{}}\n{\"name\":\"now\",\"arguments\":{}}\n```",
        r#""" now{} now{}"#,
    ),
    (
        "```xml\n<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>\n```",
        r#""" now{}"#,
    ),
    (
        r#"{"tool_calls":[{"id":"c","type":"function","function":{"name":"search","arguments":"{\"q\": \"x\"}"}}]}"#,
        r#""" search{"q":"x"}"#,
    ),
    (
        r#"{"role":"assistant","content":"I look.","tool_calls":[{"function":{"name":"now","arguments":"{}"}}]}"#,
        r#""I look." now{}"#,
    ),
    (
        r#"{"function_call":{"name":"now","arguments":"{}"}}"#,
        r#""" now{}"#,
    ),
    (
        "<function=search>{\"q\": 1}</function>",
        r#""" search{"q":1}"#,
    ),
    (
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
        r#""" get_weather{"city":"Paris","days":3}"#,
    ),
    (
        "<function_calls>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">10</parameter>\n<parameter name=\"where\">{\"a\": 1}</parameter>\n</invoke>\n<invoke name=\"now\">\n</invoke>\n</function_calls>",
        r#""" get_weather{"city":"10","where":{"a":1}} now{}"#,
    ),
    (
        concat!(
            "<ant",
            "ml:invoke name=\"search\"><ant",
            "ml:parameter name=\"q\">a < b</ant",
            "ml:parameter></ant",
            "ml:invoke>"
        ),
        r#""" search{"q":"a < b"}"#,
    ),
    (
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
        r#""" get_weather{"city":"Rome","days":2}"#,
    ),
    (
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>search\n```json\n{\"q\":1}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        r#""" search{"q":1} now{}"#,
    ),
    (
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>search<｜tool▁sep｜>{\"q\":1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        r#""" search{"q":1}"#,
    ),
    (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.search:0<|tool_call_argument_begin|>{\"q\":1}<|tool_call_end|><|tool_calls_section_end|>",
        r#""" search{"q":1}"#,
    ),
    (
        "<|channel|>commentary to=functions.search <|constrain|>json<|message|>{\"q\":1}<|call|>",
        r#""" search{"q":1}"#,
    ),
    (">>>search\n{\"q\": 1}", r#""" search{"q":1}"#),
];

#[test]
fn every_format_is_read() {
    check(FORMATS);
}

#[test]
fn prose_around_calls_stays() {
    check(&[
        (
            "Let me look.\n\n<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>\n\nOne moment.",
            r#""Let me look.\n\nOne moment." now{}"#,
        ),
        (
            "I look: {\"name\":\"now\",\"arguments\":{}} and wait.",
            r#""I look: and wait." now{}"#,
        ),
        (
            "Sure! ```json\n{\"name\":\"now\",\"arguments\":{}}\n```\nDone.",
            r#""Sure!\nDone." now{}"#,
        ),
        (
            "{\"name\":\"now\",\"arguments\":{}}\n\n Hello ",
            r#""Hello " now{}"#,
        ),
        ("A{\"name\":\"now\",\"arguments\":{}}B", r#""AB" now{}"#),
        (
            "it's {x} <b> [1] `c` \"q\" {\"name\":\"now\",\"arguments\":{}}",
            r#""it's {x} <b> [1] `c` \"q\"" now{}"#,
        ),
        (
            "<think>I could {\"name\":\"now\",\"arguments\":{}}</think>Yes. <tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>",
            r#""<think>I could {\"name\":\"now\",\"arguments\":{}}</think>Yes." now{}"#,
        ),
        (
            "{{\"a\": 1}} {\"name\":\"now\",\"arguments\":{}}",
            r#""{{\"a\": 1}}" now{}"#,
        ),
    ]);
}

#[test]
fn what_is_no_call_is_prose() {
    check_prose(&[
        "",
        " \n\t ",
        "Nothing here.\r\n\r\n  Really.  ",
        "get_weather(city=\"Paris\") is how one calls it.",
        "The tool [get_weather](http://x) and [1] and [search] and [x(1)].",
        "[unknown(city=\"Paris\")]",
        r#"{"name": "send_money", "arguments": {"to": "me"}}"#,
        r#"{"name": "search"}"#,
        r#"{"name": "search", "arguments": {}, "extra": 1}"#,
        r#"{"example": {"name": "search", "arguments": {"q": 1}}}"#,
        r#"{"calls": [{"name": "search", "arguments": {"q": 1}}]}"#,
        r#"[1, {"name": "Ann", "arguments": {}}]"#,
        r#"{"arguments": {"name": "search", "arguments": {}}}"#,
        r#"{"name": ["search"], "arguments": {}}"#,
        r#"{"text": "say {\"name\": \"now\", \"arguments\": {}}"}"#,
        r#"{"text": "say <tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>"}"#,
        "```python\nsearch(q=1)\n```",
        "```rust\nlet x = r#\"{\"name\":\"now\",\"arguments\":{}}\"#;\n```",
        "```json\n{\"a\": 1}\n{\"name\":\"now\",\"arguments\":{}}\n```",
        "```json\n// how it looks\nthen {\"name\":\"now\",\"arguments\":{}}\n```",
        "````md\n```json\n{\"name\":\"now\",\"arguments\":{}}\n```\n````",
        "```\nA call: [search(q=1)]\n```",
        "Use the <tool_call> tag, then </tool_call>.",
        "Use `<tool_call>` and `[TOOL_CALLS]`.",
        "[TOOL_CALLS] is Mistral's, <|python_tag|> is Llama's, <function=name> Qwen's.",
        "[TOOL_CALLS][]",
        "a < b, <invoke name=, <function=x y>, <function=\"a>",
        ">>> search\n{}",
        ">>>print\n{}",
        "<think>{\"name\":\"now\",\"arguments\":{}}",
        "```",
        "``` ```",
        "`",
        "{\"",
        "{\"name",
        "{\"name\": \"search\"",
        "{\"name\": \"search\", \"argum",
        "[{",
        "[now",
        "\u{0}\u{feff}é｜▁“",
    ]);
}
