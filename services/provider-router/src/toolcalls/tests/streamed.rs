//! What may be shown of a growing text, at every cut.

use proptest::prelude::*;

use super::render::written;
use super::texts::{prose, soup};
use super::{Offered, read};
use crate::toolcalls::cursor::Cursor;
use crate::toolcalls::scan::{Piece, Scan, Stage};
use crate::toolcalls::tools::Tools;
use crate::toolcalls::{Ending, Shown, safe_prefix};

/// Where the first call or refusal of a whole text begins.
fn first(text: &str, ending: Ending) -> usize {
    let offered = Offered::new();
    let tools = offered.tools();
    let tools = Tools(&tools);
    let cursor = Cursor::new(text);
    match Scan::new(&cursor, &tools, Stage::Ended(ending), 0).next() {
        Some(Piece::Block(block)) => block.from,
        _ => text.len(),
    }
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let offered = Offered::new();
    let tools = offered.tools();
    let parsed = read(text);
    let bound = first(text, Ending::Done).min(first(text, Ending::CutShort));
    let mut before = 0;
    let mut shown = Shown::default();
    let cuts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    for cut in cuts {
        let part = &text[..cut];
        let safe = safe_prefix(part, &tools);
        prop_assert!(part.starts_with(safe));
        prop_assert!(safe.len() >= before, "shrinks at {cut}: {text}");
        prop_assert!(safe.len() <= bound, "shows a call at {cut}: {text}");
        prop_assert!(parsed.prose.starts_with(safe), "{cut}: {text}");
        before = safe.len();
        // Small texts are never lagged behind.
        let now = shown.of(part, &tools);
        prop_assert!(safe.starts_with(now), "{cut}: {text}");
        prop_assert!(cut > 64 || now == safe, "{cut}: {text}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn of_any_text(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn of_soup(text in soup()) {
        check(&text)?;
    }

    #[test]
    fn of_calls_in_prose((way, wanted) in written(), before in prose(), after in prose()) {
        check(&format!("{before}\n{}\n{after}", (way.write)(&wanted)))?;
    }

    /// Calls that were shown as prose in between: two of them, and soup around.
    #[test]
    fn of_calls_in_soup((way, wanted) in written(), before in soup(), after in soup()) {
        check(&format!("{before}{}{after}", (way.write)(&wanted)))?;
    }
}

/// What is shown of a text that is not whole yet.
fn shown(text: &str) -> &str {
    let offered = Offered::new();
    safe_prefix(text, &offered.tools())
}

#[test]
fn prose_is_shown_at_once() {
    for text in [
        "Hello",
        "a < b",
        "a <b>",
        "{x",
        "Use {\"a\": [1, 2",
        "[1] and [x",
        "[link](http",
        "```rust\nlet x = {\"name\": \"now\", \"argu",
        "```json\n{\"city\":",
        "> quoted",
        "{\"name\": \"Ann Smith\", \"arguments\": {",
        "the <tool_call> tag is",
        "<think>I could {\"name\": \"now\", \"arguments\": {}}",
        "`code` and \"quotes",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn what_may_become_a_call_is_held_back() {
    for (text, safe) in [
        ("Hello ", "Hello"),
        ("Hello <", "Hello"),
        ("Hello\n\n<tool_c", "Hello"),
        ("Hello `", "Hello"),
        ("Hello {", "Hello"),
        ("Hello {\"name\": \"now\", \"argu", "Hello"),
        ("Hello [TOOL", "Hello"),
        ("Hello\n[now", "Hello"),
        ("Hello\n```json\n{\"name\"", "Hello"),
        ("{\"a\": \"<tool_call>", "{\"a\": \""),
        (
            "Hello <tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call> done",
            "Hello",
        ),
        (
            "Hello <tool_call>{\"name\":\"rm\",\"arguments\":{}}</tool_call> done",
            "Hello",
        ),
    ] {
        assert_eq!(shown(text), safe, "{text}");
    }
}
