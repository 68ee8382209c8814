//! A text in pieces.

/// One piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Quoted, or code: it counts as it stands.
    Verbatim(String),
    /// A number, without the commas of thousands.
    Number(String),
    /// What stands directly at a number, as `km` in `10km` and the sign of a currency.
    Unit(String),
    /// Anything else, in small letters.
    Word {
        /// It.
        word: String,
        /// Whether it is written as names are: with a capital inside a sentence, or in capitals.
        named: bool,
    },
}

/// Where in a sentence a word stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the first one.
    Beginning,
    /// Another stands before it.
    Inside,
}

impl Place {
    /// Behind what ends like this.
    fn behind(text: &str, ends: &[char]) -> Self {
        if text.ends_with(ends) {
            Self::Beginning
        } else {
            Self::Inside
        }
    }
}

/// What ends a sentence.
const ENDS: &[char] = &['.', '!', '?', ':', '…'];

/// What opens a quotation, and what closes it; the longest first.
const QUOTES: [(&str, &str); 8] = [
    ("```", "```"),
    ("`", "`"),
    ("\"", "\""),
    ("“", "”"),
    ("„", "“"),
    ("«", "»"),
    ("‘", "’"),
    ("'", "'"),
];

/// What stands around words and says nothing about them.
const AROUND: &[char] = &[
    '.', ',', ';', ':', '!', '?', '…', '(', ')', '[', ']', '"', '\'', '¿', '¡', '—', '–', '“', '”',
    '„', '«', '»', '‘', '’',
];

/// What words of languages do not have.
const OF_CODE: &[char] = &[
    '<', '>', '=', '*', '\\', '{', '}', '[', ']', '(', ')', '|', '&', '$', '#', '@', '^', '~', '_',
    '+', '/',
];

const CURRENCIES: &[char] = &['$', '€', '£', '¥', '₹'];

/// The pieces of a text, in their order.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut place = Place::Beginning;
    let (mut plain, mut rest) = (String::new(), text);
    let mut before = None;
    while let Some(next) = rest.chars().next() {
        if let Some((quoted, behind)) = quotation(rest, before) {
            read_plain(&plain, &mut place, &mut pieces);
            plain.clear();
            pieces.push(Piece::Verbatim(quoted.to_owned()));
            place = Place::behind(quoted, ENDS);
            rest = behind;
            before = Some('"');
            continue;
        }
        plain.push(next);
        before = Some(next);
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    read_plain(&plain, &mut place, &mut pieces);
    pieces
}

/// What is quoted here, and what comes behind it. An apostrophe inside a word quotes nothing.
fn quotation(text: &str, before: Option<char>) -> Option<(&str, &str)> {
    let (inner, close) = QUOTES
        .iter()
        .find_map(|(open, close)| Some((text.strip_prefix(open)?, *close)))?;
    if before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let ends = inner.match_indices(close).find(|(at, _)| {
        let behind = inner.get(at + close.len()..).unwrap_or_default();
        let next = behind.chars().next();
        let inside_a_word = matches!(close, "'" | "’") && next.is_some_and(char::is_alphanumeric);
        *at > 0 && !inside_a_word
    });
    let (at, _) = ends?;
    Some((inner.get(..at)?, inner.get(at + close.len()..)?))
}

fn read_plain(text: &str, place: &mut Place, pieces: &mut Vec<Piece>) {
    for line in text.split_inclusive('\n') {
        for token in line.split_whitespace() {
            read_token(token, *place, pieces);
            *place = Place::behind(token, ENDS);
        }
        if line.ends_with('\n') {
            *place = Place::Beginning;
        }
    }
}

fn read_token(token: &str, place: Place, pieces: &mut Vec<Piece>) {
    let core = token.trim_matches(AROUND);
    if core.is_empty() {
        // Of brackets without anything between them, something may hang.
        if token.contains(OF_CODE) {
            pieces.push(Piece::Verbatim(token.to_owned()));
        }
        return;
    }
    let (before, behind) = token.split_once(core).unwrap_or_default();
    if before.ends_with('!') {
        pieces.push(Piece::Verbatim("!".to_owned()));
    }
    let number = core.trim_start_matches(CURRENCIES);
    if number.starts_with(|c: char| c.is_ascii_digit()) && !number.contains(OF_CODE) {
        let signs = core.strip_suffix(number).unwrap_or_default();
        // `(3, 5]` is another interval than `[3, 5]`, and `.5` another number than `5`.
        let bracket = |beside: &str| beside.contains(['[', ']']).then(|| "[]".to_owned());
        pieces.extend(bracket(before).map(Piece::Verbatim));
        if before.ends_with('.') && !before.ends_with("..") {
            read_number(&format!("0.{number}"), signs, pieces);
        } else {
            read_number(number, signs, pieces);
        }
        pieces.extend(bracket(behind).map(Piece::Verbatim));
    } else if is_code(core) {
        pieces.push(Piece::Verbatim(core.to_owned()));
    } else {
        read_words(core, place, pieces);
    }
}

fn is_code(core: &str) -> bool {
    let no_word = !core.contains(char::is_alphanumeric) && !core.chars().all(is_dash);
    let option = core.starts_with('-') && core.len() > 1;
    let pairs = || core.chars().zip(core.chars().skip(1));
    let humps = pairs().any(|(one, next)| one.is_lowercase() && next.is_uppercase());
    let middle = core
        .chars()
        .zip(core.chars().skip(1).zip(core.chars().skip(2)));
    let mut middle = middle.map(|(one, (sign, next))| (one, sign, next));
    let dotted = middle.any(|(one, sign, next)| {
        matches!(sign, '.' | ':') && one.is_alphanumeric() && next.is_alphanumeric()
    });
    no_word || option || humps || dotted || core.contains(OF_CODE)
}

const fn is_dash(sign: char) -> bool {
    matches!(sign, '-' | '–' | '—')
}

/// A number with what hangs on it: `10`, `1,000`, `20%`, `4th`, `10km`, `19:00`, `1989-11-09`.
fn read_number(text: &str, signs: &str, pieces: &mut Vec<Piece>) {
    if !signs.is_empty() {
        pieces.push(Piece::Unit(signs.to_owned()));
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | ':')));
    let (digits, hangs) = text
        .split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""));
    match hangs {
        "" => pieces.push(Piece::Number(without_commas(digits))),
        "st" | "nd" | "rd" | "th" | "%" => {
            pieces.push(Piece::Number(without_commas(digits) + hangs));
        }
        _ if hangs.chars().all(char::is_alphabetic) => {
            pieces.push(Piece::Number(without_commas(digits)));
            pieces.push(Piece::Unit(super::words::unit(hangs).to_owned()));
        }
        _ => pieces.push(Piece::Verbatim(text.to_owned())),
    }
}

/// `1,000` as `1000`; but `1,5` as it is.
fn without_commas(digits: &str) -> String {
    let mut groups = digits.split(',');
    let first = groups
        .next()
        .is_some_and(|first| (1..=3).contains(&first.len()));
    let thousands = first && groups.all(|group| group.len() == 3);
    if thousands {
        digits.replace(',', "")
    } else {
        digits.to_owned()
    }
}

/// Parts of words that are words of their own.
const CONTRACTIONS: [(&str, &str); 8] = [
    ("n't", "not"),
    ("'ll", "will"),
    ("'re", "are"),
    ("'ve", "have"),
    ("'m", "am"),
    ("'d", "would"),
    ("s'", ""),
    ("'s", ""),
];

fn read_words(core: &str, place: Place, pieces: &mut Vec<Piece>) {
    let mut next = place;
    for part in core.split(is_dash) {
        let place = std::mem::replace(&mut next, Place::Inside);
        if super::words::has_cased_twin(part) {
            pieces.push(Piece::Unit(part.to_owned()));
            continue;
        }
        let part = part.replace('’', "'");
        let small = part.to_lowercase();
        let whole = match small.as_str() {
            "can't" | "cannot" => Some(["can", "not"]),
            "won't" => Some(["will", "not"]),
            "shan't" => Some(["shall", "not"]),
            _ => None,
        };
        if let Some(words) = whole {
            pieces.extend(words.map(|word| word_of(word, place)));
            continue;
        }
        let contracted = CONTRACTIONS
            .iter()
            .find_map(|(end, word)| Some((part.strip_suffix(end)?, *end, *word)));
        match contracted {
            // Of more than one: an s that many have is no end of theirs.
            Some((stem, "s'", _)) => read_word(&format!("{stem}s"), place, pieces),
            Some((stem, _, word)) if !stem.is_empty() => {
                read_word(stem, place, pieces);
                if !word.is_empty() {
                    pieces.push(word_of(word, Place::Beginning));
                }
            }
            _ => read_word(&part, place, pieces),
        }
    }
}

/// One word; of a script that has no spaces, each sign.
fn read_word(part: &str, place: Place, pieces: &mut Vec<Piece>) {
    let mut word = String::new();
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            // L'eau: what is left of the apostrophe is an article.
            let (article, noun) = match word.split_once('\'') {
                Some((article, noun)) if !noun.is_empty() => (Some(article), noun),
                _ => (None, word.as_str()),
            };
            let place = if article.is_some() {
                Place::Inside
            } else {
                place
            };
            pieces.extend(article.map(|article| word_of(article, Place::Beginning)));
            pieces.push(word_of(noun, place));
            word.clear();
        }
    };
    for letter in part.chars() {
        if has_no_spaces(letter) {
            end(&mut word);
            end(&mut letter.to_string());
        } else {
            word.push(letter);
        }
    }
    end(&mut word);
}

fn has_no_spaces(letter: char) -> bool {
    matches!(u32::from(letter),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x2E80..=0xABFF | 0xF900..=0xFAFF
        | 0x20000..=0x3FFFF)
}

fn word_of(word: &str, place: Place) -> Piece {
    let capitals = word.chars().filter(|letter| letter.is_uppercase()).count();
    let letters = word.chars().count();
    let capital = word.starts_with(char::is_uppercase) && word != "I";
    Piece::Word {
        word: word.to_lowercase(),
        named: capital && (place == Place::Inside || (letters > 1 && capitals == letters)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Piece, pieces};

    fn word(word: &str) -> Piece {
        let named = word.starts_with(char::is_uppercase);
        Piece::Word {
            word: word.to_lowercase(),
            named,
        }
    }

    fn verbatim(text: &str) -> Piece {
        Piece::Verbatim(text.to_owned())
    }

    fn number(text: &str) -> Piece {
        Piece::Number(text.to_owned())
    }

    fn unit(text: &str) -> Piece {
        Piece::Unit(text.to_owned())
    }

    #[test]
    fn words_numbers_quotations_and_code_are_told_apart() {
        assert_eq!(
            pieces("Don't fly to Rome's NATO office. Why? 'He go.' It's 1,000 km"),
            [
                word("do"),
                word("not"),
                word("fly"),
                word("to"),
                word("Rome"),
                word("NATO"),
                word("office"),
                word("why"),
                verbatim("He go."),
                word("it"),
                number("1000"),
                word("km"),
            ]
        );
        assert_eq!(
            pieces(
                "run `a && b` or x >= 18, --hard HEAD~1 and print(7 // 2) for $5.50 or 10km, 20%"
            ),
            [
                word("run"),
                verbatim("a && b"),
                word("or"),
                word("x"),
                verbatim(">="),
                number("18"),
                verbatim("--hard"),
                verbatim("HEAD~1"),
                word("and"),
                verbatim("print(7"),
                verbatim("//"),
                number("2"),
                word("for"),
                unit("$"),
                number("5.50"),
                word("or"),
                number("10"),
                unit("km"),
                number("20%"),
            ]
        );
    }

    #[test]
    fn a_quotation_that_does_not_end_is_none() {
        assert_eq!(pieces("a 'b c"), [word("a"), word("b"), word("c")]);
        assert_eq!(pieces("dogs' \"x"), [word("dogs"), word("x")]);
        assert_eq!(pieces(""), []);
    }

    #[test]
    fn scripts_without_spaces_are_read_sign_by_sign() {
        assert_eq!(pieces("今天"), [word("今"), word("天")]);
    }
}
