//! The part of a text that shows why it was found. Pure.

use std::ops::Range;

use crate::terms::Terms;
use crate::view::Piece;
use crate::words::{Word, words};

/// Words before the first hit.
const BEFORE: usize = 8;

/// Words from the first hit on.
const BEHIND: usize = 32;

/// Most bytes to either side of where the first hit begins, whatever is between the words.
const MOST_BYTES: usize = 400;

/// The text around the first hit, with every hit in it marked.
#[must_use]
pub fn snippet(text: &str, terms: &Terms) -> Vec<Piece> {
    let found: Vec<Word> = words(text).collect();
    let hits = terms.hits(&found);
    let first = hits.first().map_or(0, |hit| hit.start);
    let shown = window(text, &found, first);
    let mut pieces = Vec::new();
    let mut add = |range: Range<usize>, hit: bool| {
        if let Some(text) = text.get(range).filter(|text| !text.is_empty()) {
            let text = text.to_owned();
            pieces.push(Piece { text, hit });
        }
    };
    let mut at = shown.start;
    for hit in hits {
        let hit = hit.start.max(at)..hit.end.min(shown.end);
        if hit.start < hit.end {
            add(at..hit.start, false);
            at = hit.end;
            add(hit, true);
        }
    }
    add(at..shown.end, false);
    let dots = || Piece {
        text: "…".to_owned(),
        hit: false,
    };
    if shown.start > 0 {
        pieces.insert(0, dots());
    }
    if shown.end < text.len() {
        pieces.push(dots());
    }
    pieces
}

fn window(text: &str, found: &[Word], first: usize) -> Range<usize> {
    let at = found.partition_point(|word| word.range.end <= first);
    let start = match at.checked_sub(BEFORE + 1) {
        Some(_) => found.get(at - BEFORE).map_or(0, |word| word.range.start),
        None => 0,
    };
    let end = found
        .get(at + BEHIND)
        .map_or(text.len(), |word| word.range.start);
    let start = start.max(text.ceil_char_boundary(first.saturating_sub(MOST_BYTES)));
    let end = end.min(text.floor_char_boundary(first.saturating_add(MOST_BYTES)));
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, typed: &str) -> String {
        let pieces = snippet(text, &Terms::parse(typed).unwrap());
        let mark = |piece: Piece| match piece.hit {
            true => format!("[{}]", piece.text),
            false => piece.text,
        };
        pieces.into_iter().map(mark).collect()
    }

    #[test]
    fn a_short_text_is_shown_whole() {
        assert_eq!(shown("A red, red ball.", "red"), "A [red], [red] ball.");
        assert_eq!(shown("red", "red"), "[red]");
    }

    #[test]
    fn a_long_text_is_cut_around_the_first_hit() {
        let text = format!("{} needle {}", "hay ".repeat(100), "stack ".repeat(100));
        let shown = shown(&text, "needle");
        assert!(
            shown.starts_with("…hay ") && shown.ends_with("stack …"),
            "{shown}"
        );
        assert!(shown.contains("[needle]") && shown.len() < 400, "{shown}");
    }

    #[test]
    fn what_is_between_words_has_an_end_too() {
        let text = format!("{}needle{}", "ü…".repeat(5_000), "–".repeat(5_000));
        assert!(shown(&text, "needle").len() < 3 * MOST_BYTES);
        let one_word = "ü".repeat(5_000);
        assert!(shown(&one_word, "ü*").len() < 3 * MOST_BYTES);
    }
}
