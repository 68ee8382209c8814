//! Text of servers, made fit to be shown.

/// `text` without what could deceive whoever reads it, in at most `most` bytes.
///
/// Control characters other than line feed and tab, terminal sequences, marks that turn the
/// direction of writing, and characters nobody sees (zero width, tags) are left out.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        if next == '\u{1b}' {
            skip_sequence(&mut chars);
            continue;
        }
        if hidden(next) {
            continue;
        }
        if out.len() + next.len_utf8() > most {
            break;
        }
        out.push(next);
    }
    out
}

/// As [`clean`], on one line.
pub(crate) fn line(text: &str, most: usize) -> String {
    clean(&text.replace(['\n', '\t'], " "), most)
}

/// The longest beginning of `text` of at most `most` bytes.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A control sequence ends with a character from `@` to `~`, not counting the `[` that opens it.
fn skip_sequence(chars: &mut std::str::Chars<'_>) {
    let mut ahead = chars.clone();
    if ahead.next() != Some('[') {
        return;
    }
    for (length, next) in ahead.enumerate() {
        if ('@'..='~').contains(&next) {
            chars.nth(length + 1);
            return;
        }
        if length > 32 {
            return;
        }
    }
}

fn hidden(c: char) -> bool {
    let seen = matches!(c, '\n' | '\t');
    (c.is_control() && !seen)
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Replaces every value of `secrets` in `text`.
pub(crate) fn scrub(text: &str, secrets: &[String]) -> String {
    let mut out = text.to_owned();
    // Replacing very short values would tear ordinary words apart, and hides nothing.
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        out = out.replace(secret.as_str(), "[secret]");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_deceives_is_left_out() {
        assert_eq!(clean("a\u{1b}[31mred\u{1b}[0m\r\u{7}b", 99), "aredb");
        assert_eq!(
            clean("pay\u{202e}\u{200b}\u{e0041}load\n\tx", 99),
            "payload\n\tx"
        );
        assert_eq!(line("two\nlines", 99), "two lines");
        assert_eq!(
            scrub("key sk-123456 is bad", &["sk-123456".into(), "is".into()]),
            "key [secret] is bad"
        );
    }

    proptest! {
        #[test]
        fn cleaning_keeps_to_its_size_and_is_done_once(text in ".{0,200}", most in 0_usize..100) {
            let once = clean(&text, most);
            prop_assert!(once.len() <= most);
            let escape = once.contains('\u{1b}');
            prop_assert!(!escape);
            prop_assert!(cut(&text, most).len() <= most);
            prop_assert_eq!(clean(&once, most), once);
        }
    }
}
