//! The words of a text, as the lexical index knows them. Pure.
//!
//! Word boundaries are those of Unicode (UAX 29); words are in lower case. What holds more than
//! letters and digits (`example.com`, `user_id`) counts as a whole and by its parts. Scripts that
//! are written without spaces have a word for every sign and one for every two in a row, as is
//! usual for them: without a dictionary nobody knows where their words end.

use unicode_segmentation::UnicodeSegmentation;

/// Longest word, in characters; what is longer is known by its beginning.
const MOST_CHARS: usize = 64;

/// The words of a text, in order.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    // The sign before this one, and where it ended.
    let mut before: Option<(char, usize)> = None;
    for (at, word) in text.unicode_word_indices() {
        let mut chars = word.chars();
        let first = chars.next();
        match (first, chars.next()) {
            (Some(sign), None) if is_whole(sign) => {
                words.push(sign.to_string());
                if let Some((last, _)) = before.filter(|(_, end)| *end == at) {
                    words.push([last, sign].into_iter().collect());
                }
                before = Some((sign, at + word.len()));
            }
            _ => add(&mut words, word),
        }
    }
    words
}

fn add(words: &mut Vec<String>, word: &str) {
    let is_plain = word.chars().all(char::is_alphanumeric);
    if is_plain {
        words.push(lower(word));
        return;
    }
    words.push(lower(word));
    let parts = word
        .split(|c: char| !belongs(c))
        .filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    if parts.len() > 1 {
        words.extend(parts.into_iter().map(lower));
    }
}

/// Letters, digits, and accents written by themselves.
fn belongs(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}')
}

fn lower(word: &str) -> String {
    let lower = word.chars().flat_map(char::to_lowercase);
    lower
        .map(|c| match c {
            // A sigma looks different at the end of a word.
            'ς' => 'σ',
            '’' => '\'',
            c => c,
        })
        .take(MOST_CHARS)
        .collect()
}

/// Whether a character is a word by itself: the scripts that are written without spaces.
fn is_whole(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}'     // Thai, Lao
        | '\u{1000}'..='\u{109f}'   // Burmese
        | '\u{1780}'..='\u{17ff}'   // Khmer
        | '\u{2e80}'..='\u{9fff}'   // Chinese, Japanese
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_in_lower_case_and_without_signs() {
        assert_eq!(words("Hello, WORLD-2!"), ["hello", "world", "2"]);
        assert_eq!(words("ΟΔΟΣ Straße"), ["οδοσ", "straße"]);
        assert_eq!(words("—…\0 \u{1f980}"), Vec::<String>::new());
        assert_eq!(words("don’t"), ["don't", "don", "t"]);
    }

    #[test]
    fn what_is_put_together_is_found_by_its_parts() {
        assert_eq!(words("example.com"), ["example.com", "example", "com"]);
        assert_eq!(words("user_id"), ["user_id", "user", "id"]);
        assert_eq!(words("3.14"), ["3.14", "3", "14"]);
    }

    #[test]
    fn scripts_without_spaces_have_signs_and_pairs() {
        assert_eq!(words("東京都x"), ["東", "京", "東京", "都", "京都", "x"]);
        assert_eq!(words("東 京"), ["東", "京"]);
    }

    #[test]
    fn a_long_word_is_known_by_its_beginning() {
        assert_eq!(words(&"x".repeat(5_000)), ["x".repeat(MOST_CHARS)]);
    }
}
