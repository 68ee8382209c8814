//! How long it takes, in bytes looked at: a clock would measure the machine.

use proptest::prelude::*;

use super::texts::soup;
use super::{Offered, read};
use crate::toolcalls::cursor::Cursor;
use crate::toolcalls::scan::{Piece, Scan, Stage};
use crate::toolcalls::tools::Tools;
use crate::toolcalls::{Ending, Shown};

/// Looks per byte; words that are compared with count as one. There are some 25 marks, and every `<`
/// is compared with all.
const MOST: usize = 64;

fn looks(text: &str) -> usize {
    let offered = Offered::new();
    let tools = offered.tools();
    let tools = Tools(&tools);
    let cursor = Cursor::new(text);
    let scan = Scan::new(&cursor, &tools, Stage::Ended(Ending::Done), 0);
    let found = scan
        .filter(|piece| matches!(piece, Piece::Block(_)))
        .count();
    assert!(found <= text.len());
    cursor.looks.get()
}

#[test]
fn much_of_anything_takes_time_in_proportion() {
    const SIZE: usize = 128 * 1024;
    for piece in [
        "{",
        "[",
        "`",
        "<",
        "\"",
        "'",
        "\\",
        "(",
        "}",
        "“",
        "{\"",
        "{'",
        "[{",
        "{\"a\":",
        "{\"name\":",
        "[[",
        "{\"a\":[",
        "```\n",
        "```json\n",
        "```json{",
        "```json{/*",
        "{/*",
        "` ",
        "`` ` ",
        "<tool_call>",
        "<tool_call>{",
        "<tool_call>{/*",
        "<tool_call>{\"",
        "<tool_call>{\"a\":x",
        "<tool_call>[",
        "`<tool_call>{\"a\":",
        "<function=search>",
        "<function=search><parameter=q>",
        "<function=search>{/*",
        "<invoke name=\"now\">",
        "<tool_call>search<arg_key>",
        "[TOOL_CALLS]",
        "[TOOL_CALLS]{",
        "[TOOL_CALLS]now[ARGS]{",
        "<|python_tag|>now(",
        "\n[now(",
        "\n[search(q=",
        "[now()]\n",
        "{\"name\":\"now\",\"arguments\":{}}",
        "{\"name\":\"nowx\",\"arguments\":{}}",
        "<think>",
        "<think></think>",
        "\n",
        " ",
        "\n\n",
        "[ ",
        "{ ",
        "<｜tool▁call▁begin｜>",
        "<|tool_call_begin|>search<|tool_call_argument_begin|>{",
        "{\"name\":\"search\",\"arguments\":{\"q\":",
        "{\"name\":\"search\",\"arguments\":{\"q\":{\"a\":",
        ">>>now\n{",
        "{\"tool_calls\":[",
        "{#",
        "//",
        "{\"x\": oops ",
        "```x\n",
        "````\n```\n",
        "{\"name\":\"search\",\"arguments\":\"",
    ] {
        let text = piece.repeat(SIZE / piece.len());
        let per_byte = looks(&text) / text.len();
        assert!(per_byte <= MOST, "{piece:?}: {per_byte} looks per byte");
        let _ = read(&text);
    }
}

#[test]
fn showing_byte_by_byte_takes_time_in_proportion() {
    // Would take hours if every piece were looked at with everything before it.
    for piece in [
        "{\"name\":\"search\",\"arguments\":{\"q\":[1,",
        "```json\n{\"name\":\"",
        "word ",
    ] {
        let text = format!("{piece}{}", "1,x ".repeat(64 * 1024));
        let offered = Offered::new();
        let tools = offered.tools();
        let mut shown = Shown::default();
        for at in 0..=text.len() {
            shown.of(&text[..at], &tools);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_soup_again_and_again_takes_time_in_proportion(text in soup()) {
        prop_assume!(!text.is_empty());
        let text = text.repeat(20_000 / text.len() + 1);
        let per_byte = looks(&text) / text.len();
        prop_assert!(per_byte <= MOST, "{} looks per byte", per_byte);
    }
}
