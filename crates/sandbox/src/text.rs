//! Hostile bytes made harmless for people and terminals.

use std::fmt::Write as _;

/// Whether a character may be shown as it is.
///
/// It is no control character, no mark that turns the direction of text, no invisible carrier of other text. Line feed and tab are not plain; [`harmless`] keeps them.
///
/// Joiners (U+200C, U+200D) stay, because scripts and emoji need them.
#[must_use]
pub const fn is_plain(c: char) -> bool {
    !matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'           // C0, delete, C1: terminals obey them
        | '\u{ad}' | '\u{61c}' | '\u{180e}'             // soft hyphen, Arabic letter mark, Mongolian separator
        | '\u{200b}' | '\u{200e}' | '\u{200f}'          // zero-width space, direction marks
        | '\u{2028}'..='\u{202e}'                       // line separators, embeddings and overrides
        | '\u{2060}'..='\u{206f}'                       // invisible operators, isolates
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'          // byte order mark, annotations
        | '\u{e0000}'..='\u{e01ef}') // tags and variation selectors: they smuggle text
}

/// Bytes as text that a terminal, a browser and a person read alike.
///
/// Invalid UTF-8 becomes U+FFFD, line
/// feed and tab stay, CR LF becomes LF, and every other character that is not [plain](is_plain) becomes its
/// escape, such as `\u{1b}`.
#[must_use]
pub fn harmless(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if rest.peek() == Some(&'\n') => {}
            c if is_plain(c) => out.push(c),
            // Writing to a `String` cannot fail.
            c => drop(write!(out, "\\u{{{:x}}}", u32::from(c))),
        }
    }
    out
}

/// As [`harmless`], cut at a character after at most `cap` bytes of the result.
#[must_use]
pub fn harmless_within(bytes: &[u8], cap: usize) -> (String, bool) {
    let mut out = harmless(bytes);
    if out.len() <= cap {
        return (out, false);
    }
    let at = (0..=cap)
        .rev()
        .find(|at| out.is_char_boundary(*at))
        .unwrap_or(0);
    out.truncate(at);
    (out, true)
}
