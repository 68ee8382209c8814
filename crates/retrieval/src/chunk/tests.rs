use proptest::prelude::*;
use tokio::time::Instant;

use super::*;

fn texts<'a>(text: &'a str, content_type: &str, most: usize) -> Vec<&'a str> {
    let chunks = chunks(text, content_type, most).into_iter();
    chunks.map(|chunk| &text[chunk.range]).collect()
}

fn contexts(text: &str, content_type: &str, most: usize) -> Vec<String> {
    let chunks = chunks(text, content_type, most).into_iter();
    chunks.map(|chunk| chunk.context).collect()
}

#[test]
fn paragraphs_stay_together_and_long_ones_are_cut_at_sentences() {
    let text = "One two.\n\nThree four.\n\nFive six seven. Eight nine ten.";
    assert_eq!(
        texts(text, "text/plain", 24),
        [
            "One two.\n\nThree four.\n\n",
            "Five six seven. ",
            "Eight nine ten."
        ]
    );
    assert_eq!(texts("abcdefg", "text/plain", 3), ["abc", "def", "g"]);
    assert_eq!(texts("aa bb cc", "text/plain", 5), ["aa bb", " cc"]);
    assert_eq!(texts("", "text/plain", 5), Vec::<&str>::new());
}

#[test]
fn sections_of_markdown_carry_their_headings() {
    let text = "# Cars\n\nFour wheels are usual.\n\n## Tyres\n\nRubber, black, round.\n\n# Boats\n\nThey float.\n";
    assert_eq!(
        texts(text, "text/markdown; charset=utf-8", 40),
        [
            "# Cars\n\nFour wheels are usual.\n\n",
            "## Tyres\n\nRubber, black, round.\n\n",
            "# Boats\n\nThey float.\n"
        ]
    );
    assert_eq!(
        contexts(text, "text/markdown", 40),
        ["Cars", "Cars > Tyres", "Boats"]
    );
    // Short sections are not chunks of their own.
    assert_eq!(texts(text, "text/markdown", 1_000), [text]);
    let short = "# A\n\n## B\n\n### C\n\nText.\n";
    assert_eq!(texts(short, "text/markdown", 1_000), [short]);
    assert_eq!(contexts(short, "text/markdown", 1_000), ["A"]);
}

#[test]
fn a_list_is_cut_between_its_items() {
    let text = "- first item\n- second item\n- third item\n";
    assert_eq!(
        texts(text, "text/markdown", 28),
        ["- first item\n- second item\n", "- third item\n"]
    );
}

#[test]
fn records_are_whole_and_carry_the_names_of_the_columns() {
    let text = "name,note\nada,\"two\nlines\"\nbob,\"said \"\"no\"\"\"\ncy,x\n";
    assert_eq!(
        texts(text, "text/csv", 27),
        [
            "name,note\nada,\"two\nlines\"\n",
            "bob,\"said \"\"no\"\"\"\ncy,x\n"
        ]
    );
    assert_eq!(contexts(text, "text/csv", 27), ["", "name,note"]);
}

/// Parts that mean something to one of the formats.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("# H\n"),
        Just("## Ü\n\n"),
        Just("\n\n"),
        Just("- a\n"),
        Just("1. b\n"),
        Just("> q\n"),
        Just("```\nx\n"),
        Just("```\n"),
        Just("\""),
        Just(","),
        Just("a,b\n"),
        Just("Wörter. "),
        Just("東京都。"),
        Just("e\u{301}"),
        Just("\u{1f468}\u{200d}\u{1f469}"),
        Just("\r\n"),
        Just("|a|b|\n|-|-|\n|c|d|\n"),
        Just("<div>\n"),
        Just("[x](y)"),
        Just("    code\n"),
        Just("\0"),
        Just("long-long-long-word"),
        Just(" "),
        Just("\u{2028}"),
    ];
    let pieces = prop::collection::vec(piece, 0..60);
    prop_oneof![pieces.prop_map(|pieces| pieces.concat()), ".{0,200}"]
}

proptest! {
    #[test]
    fn chunks_are_the_text_and_never_too_long(
        text in pieces(),
        kind in prop::sample::select(vec!["text/markdown", "text/csv", "text/plain", "text/html"]),
        most in 1_usize..60,
    ) {
        let found = chunks(&text, kind, most);
        let mut at = 0;
        for chunk in &found {
            prop_assert_eq!(chunk.range.start, at);
            let piece = text.get(chunk.range.clone());
            let piece = piece.ok_or_else(|| TestCaseError::fail("not between characters"))?;
            prop_assert!(!piece.is_empty() && piece.chars().count() <= most);
            prop_assert!(chunk.context.len() <= 400);
            at = chunk.range.end;
        }
        prop_assert_eq!(at, text.len());
    }
}

/// Twice the text takes about twice the time, also where it was written to take longer.
#[test]
fn no_text_takes_long() {
    let texts = [
        "a".repeat(400_000),
        "word ".repeat(80_000),
        "1. ".repeat(130_000),
        "A.) 1 ".repeat(60_000),
        "[".repeat(200_000),
        "> ".repeat(100_000),
        "- ".repeat(100_000),
        "\u{1f1e6}".repeat(80_000),
        "#\n".repeat(150_000),
        "\"\n".repeat(150_000),
        "e\u{301}".repeat(100_000),
        "`".repeat(200_000),
        "<a".repeat(100_000),
        "*_".repeat(100_000),
    ];
    for text in texts {
        for kind in ["text/markdown", "text/csv", "text/plain"] {
            let start = Instant::now();
            let found = chunks(&text, kind, 1_000).len();
            let took = start.elapsed();
            let head: String = text.chars().take(6).collect();
            assert!(
                found > 0 && took.as_secs() < 10,
                "{head:?} as {kind}: {took:?}"
            );
        }
    }
}
