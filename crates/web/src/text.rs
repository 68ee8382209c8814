//! Text of strangers, made fit to be shown.

/// Longest piece of somebody else's text in an error, in characters.
const SHOWN_CHARS: usize = 160;

/// A piece of text as an error shows it: short, on one line, without what cannot be seen.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .take(SHOWN_CHARS + 1)
        .collect();
    if shown.chars().count() > SHOWN_CHARS {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// Characters that carry text nobody sees: zero-width ones, those that turn the direction, tags,
/// and variation selectors beyond those of emoji.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Text as it is handed on: without invisible and control characters, but for line ends and tabs.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .filter(|c| matches!(c, '\n' | '\t') || (!c.is_control() && !is_invisible(*c)))
        .collect()
}

/// One line of visible text, with single spaces, of at most `max` characters.
pub(crate) fn line(text: &str, max: usize) -> String {
    let visible = visible(text);
    let mut line = String::new();
    for word in visible.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > max.saturating_mul(4) {
            break;
        }
    }
    match line.char_indices().nth(max) {
        Some((end, _)) => line.get(..end).unwrap_or_default().to_owned(),
        None => line,
    }
}

/// The beginning of a text, of at most `max` bytes, cut between characters.
pub(crate) fn head(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_short_and_seen() {
        assert_eq!(shown("a\nb\u{202e}c\u{e0041}\u{7}"), "a bc");
        assert_eq!(shown(&"ä".repeat(500)).chars().count(), SHOWN_CHARS + 1);
        assert_eq!(line("  a\u{200b}b \n c  ", 3), "ab ");
        assert_eq!(head("aä", 2), "a");
    }
}
