//! The reader of calls in text, fed with arbitrary texts: nothing breaks it, nothing is lost, and what was
//! shown on the way is never taken back.

use nexus_provider_router::toolcalls::{Ending, Shown, Tool, parse, safe_prefix};
use serde_json::{Value, json};

/// What calls are made of, whole and in parts.
const PIECES: [&str; 32] = [
    "<tool_call>",
    "</tool_call>",
    "<tool_calls>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "<|python_tag|>",
    "<function=now>",
    "<function=",
    "</function>",
    "<parameter=a>",
    "</parameter>",
    "<invoke name=\"now\">",
    "<function_calls>",
    "<think>",
    "</think>",
    "```json\n",
    "```",
    "\n",
    "\n\n",
    "{\"name\": \"now\", \"arguments\": {",
    "{\"tool_calls\": [",
    "{'name': 'now',",
    "\"arguments\": ",
    "[now(a=",
    ")]",
    "\"a\": 1",
    ",",
    "}",
    "]}",
    "\"",
    "\\",
    "1",
];

/// Checks what holds of every text, read as a whole and up to `cut`.
fn check(text: &str, cut: usize) {
    let schema: Value = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let tools = [Tool {
        name: "now",
        parameters: &schema,
    }];
    let cut = (0..=cut % (text.len() + 1))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    let (early, _) = text.split_at(cut.unwrap_or_default());
    let safe = safe_prefix(early, &tools);
    let mut shown = Shown::default();
    assert!(safe.starts_with(shown.of(early, &tools)));
    let later = shown.of(text, &tools);
    for ending in [Ending::Done, Ending::CutShort] {
        let parsed = parse(text, &tools, ending);
        assert!(parsed.prose.starts_with(safe) && parsed.prose.starts_with(later));
        assert!(!parsed.calls.is_empty() || parsed.prose == text);
        assert!(parsed.calls.iter().all(|call| call.name == "now"));
        assert!(
            parsed
                .repairs
                .iter()
                .all(|one| one.call < parsed.calls.len())
        );
        assert_eq!(parsed, parse(text, &tools, ending));
    }
}

#[test]
fn arbitrary_text_never_breaks_the_reader_of_calls() {
    bolero::check!()
        .with_type::<(Vec<u8>, usize)>()
        .for_each(|(bytes, cut)| check(&String::from_utf8_lossy(bytes), *cut));
}

#[test]
fn arbitrary_parts_of_calls_never_break_the_reader_of_calls() {
    bolero::check!()
        .with_type::<(Vec<u8>, usize)>()
        .for_each(|(pieces, cut)| {
            let pieces = pieces
                .iter()
                .map(|piece| PIECES[usize::from(*piece) % PIECES.len()]);
            check(&pieces.collect::<String>(), *cut);
        });
}
