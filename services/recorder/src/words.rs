//! What of a text can be found: its words. Pure, so that both databases find the same.
//!
//! A word is a run of letters and digits in lower case. Where a script is written without spaces,
//! every sign is a word, and what is asked for becomes a phrase.

use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;

use nexus_contracts::OrgId;

/// Longest word, in characters; what is longer is known by its beginning.
const MOST_CHARS: usize = 64;

/// Most bytes of words of one text. What comes after them is kept and shown, but not found.
const MOST_BYTES: usize = 512 * 1024;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// In lower case.
    pub text: String,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
}

/// The words of a text.
pub struct Words<'a> {
    chars: Peekable<CharIndices<'a>>,
}

/// The words of a text, in order.
#[must_use]
pub fn words(text: &str) -> Words<'_> {
    Words {
        chars: text.char_indices().peekable(),
    }
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        let (start, first) = self.chars.find(|(_, c)| belongs(*c))?;
        let mut word = Word {
            text: lower(first).collect(),
            range: start..start + first.len_utf8(),
        };
        if is_whole(first) {
            return Some(word);
        }
        let mut count = 1;
        let goes_on = |c: char| belongs(c) && !is_whole(c);
        while let Some((at, next)) = self.chars.next_if(|(_, c)| goes_on(*c)) {
            word.range.end = at + next.len_utf8();
            if count < MOST_CHARS {
                word.text.extend(lower(next));
            }
            count += 1;
        }
        Some(word)
    }
}

/// The words of a text as the databases keep them: each between two spaces, behind a sign of the
/// organisation that nobody can ask for.
#[must_use]
pub fn indexed(org: OrgId, text: &str) -> String {
    let mut line = format!(" {} ", sign(org));
    for word in words(text) {
        if line.len() + word.text.len() > MOST_BYTES {
            break;
        }
        line.push_str(&word.text);
        line.push(' ');
    }
    line
}

/// What marks the words of an organisation in an index that holds those of all. No word holds `§`.
#[must_use]
pub fn sign(org: OrgId) -> String {
    format!("§{}", org.0.simple())
}

/// Whether a character is part of a word: letters, digits, and accents written by themselves.
#[must_use]
pub fn belongs(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}')
}

/// Whether a character is a word by itself: the scripts that are written without spaces.
fn is_whole(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}'     // Thai, Lao
        | '\u{1000}'..='\u{109f}'   // Burmese
        | '\u{1780}'..='\u{17ff}'   // Khmer
        | '\u{2e80}'..='\u{9fff}'   // Chinese, Japanese
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}')
}

fn lower(c: char) -> impl Iterator<Item = char> {
    // A sigma looks different at the end of a word.
    c.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).map(|word| word.text).collect()
    }

    #[test]
    fn words_are_letters_and_digits_in_lower_case() {
        assert_eq!(
            texts("Hello, WORLD-2 (a_b)!"),
            ["hello", "world", "2", "a", "b"]
        );
        assert_eq!(texts("ΟΔΟΣ Straße"), ["οδοσ", "straße"]);
        assert_eq!(texts("—…\0 \u{1f980}"), Vec::<String>::new());
    }

    #[test]
    fn signs_of_scripts_without_spaces_are_words() {
        assert_eq!(texts("你好world"), ["你", "好", "world"]);
    }

    #[test]
    fn a_long_word_is_known_by_its_beginning() {
        let long = "x".repeat(5_000);
        let found: Vec<Word> = words(&long).collect();
        assert_eq!(found[0].text.len(), MOST_CHARS);
        assert_eq!(found[0].range, 0..5_000);
    }

    #[test]
    fn ranges_cut_the_text_where_the_words_are() {
        let text = "Ää, öö";
        let cut: Vec<&str> = words(text).map(|word| &text[word.range]).collect();
        assert_eq!(cut, ["Ää", "öö"]);
    }

    #[test]
    fn the_index_has_an_end() {
        let line = indexed(OrgId(uuid::Uuid::nil()), &"word ".repeat(1_000_000));
        assert!(line.len() <= MOST_BYTES + MOST_CHARS && line.ends_with(" word "));
    }
}
