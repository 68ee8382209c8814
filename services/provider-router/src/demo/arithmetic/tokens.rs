//! Text into the pieces of sums.

/// A piece of a sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Digits, without thousands separators.
    Number(String),
    /// Stands between two operands; `-` before one, too.
    Operator(&'static str),
    /// Stands before an operand.
    Function(&'static str),
    /// Stands behind an operand.
    Postfix(&'static str),
    /// `(`
    Open,
    /// `)`
    Close,
    /// Anything else: no sum goes across it.
    Stop,
}

/// Words and signs; of two that fit, the longer is first.
const SIGNS: &[(&str, Token)] = &[
    ("**", Token::Operator("^")),
    ("*", Token::Operator("*")),
    ("×", Token::Operator("*")),
    ("·", Token::Operator("*")),
    ("/", Token::Operator("/")),
    ("÷", Token::Operator("/")),
    ("+", Token::Operator("+")),
    ("-", Token::Operator("-")),
    ("−", Token::Operator("-")),
    ("^", Token::Operator("^")),
    ("(", Token::Open),
    (")", Token::Close),
];

const WORDS: &[(&str, Token)] = &[
    ("to the power of", Token::Operator("^")),
    ("multiplied by", Token::Operator("*")),
    ("divided by", Token::Operator("/")),
    ("square root of", Token::Function("sqrt")),
    ("squared", Token::Postfix("^2")),
    ("cubed", Token::Postfix("^3")),
    ("percent", Token::Postfix("%")),
    ("modulo", Token::Operator("mod")),
    ("times", Token::Operator("*")),
    ("minus", Token::Operator("-")),
    ("plus", Token::Operator("+")),
    ("over", Token::Operator("/")),
    ("mod", Token::Operator("mod")),
    ("sqrt", Token::Function("sqrt")),
    ("sin", Token::Function("sin")),
    ("cos", Token::Function("cos")),
    ("tan", Token::Function("tan")),
    ("abs", Token::Function("abs")),
    ("log", Token::Function("log")),
    ("ln", Token::Function("ln")),
    ("x", Token::Operator("*")),
];

/// The pieces of a text, each with where it stands.
pub(super) fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut found: Vec<(usize, Token)> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            at += blank;
            continue;
        }
        let (token, length) = token(rest, found.last().map(|(_, token)| token));
        found.push((at, token));
        at += length.max(1);
    }
    found
}

fn token(rest: &str, previous: Option<&Token>) -> (Token, usize) {
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        return number(rest);
    }
    if rest.starts_with('%') {
        return (percent(rest), 1);
    }
    if let Some((sign, token)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return (token.clone(), sign.len());
    }
    let first = rest.chars().next().map_or(1, char::len_utf8);
    if !rest.starts_with(char::is_alphabetic) {
        return (Token::Stop, first);
    }
    // `of` joins only behind a percentage: "20% of 50", not "two of 3".
    if ends_word(rest, "of") && previous == Some(&Token::Postfix("%")) {
        return (Token::Operator("of"), 2);
    }
    let known = WORDS.iter().find(|(word, token)| match token {
        // "log 3 issues" is no logarithm: only a root may go without parentheses.
        Token::Function(name) if *name != "sqrt" => opens_parenthesis(rest, word),
        _ => ends_word(rest, word) || (*word == "x" && opens_number(rest, word)),
    });
    match known {
        Some((word, token)) => (token.clone(), word.len()),
        None => (Token::Stop, word_length(rest)),
    }
}

/// `x` may touch the number behind it: `6x7`.
fn opens_number(rest: &str, word: &str) -> bool {
    rest.strip_prefix(word)
        .is_some_and(|tail| tail.starts_with(|c: char| c.is_ascii_digit()))
}

fn opens_parenthesis(rest: &str, word: &str) -> bool {
    rest.strip_prefix(word)
        .is_some_and(|tail| tail.trim_start().starts_with('('))
}

fn ends_word(rest: &str, word: &str) -> bool {
    let tail = rest.strip_prefix(word).map(|tail| tail.chars().next());
    tail.is_some_and(|next| !next.is_some_and(|c| c.is_alphanumeric() || c == '_'))
}

fn word_length(rest: &str) -> usize {
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '\'' | '-');
    rest.find(|c| !in_word(c)).unwrap_or(rest.len())
}

/// A percentage, unless a number follows: "17 % 5" is a remainder.
fn percent(rest: &str) -> Token {
    let next = rest.get(1..).unwrap_or_default().trim_start();
    if next.starts_with(|c: char| c.is_ascii_digit() || c == '(') {
        Token::Operator("mod")
    } else {
        Token::Postfix("%")
    }
}

fn number(rest: &str) -> (Token, usize) {
    if let Some(length) = no_sum(rest) {
        return (Token::Stop, length);
    }
    let bytes = rest.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut length = 0;
    let mut pointed = false;
    loop {
        match bytes.get(length) {
            Some(byte) if byte.is_ascii_digit() => length += 1,
            Some(b'.') if !pointed && digit(length + 1) => {
                pointed = true;
                length += 1;
            }
            Some(b',') if !pointed && (1..=3).all(|n| digit(length + n)) && !digit(length + 4) => {
                length += 1;
            }
            _ => break,
        }
    }
    let (number, tail) = rest.split_at(length);
    let glued = tail.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if glued && !(tail.starts_with('x') && opens_number(tail, "x")) {
        return (Token::Stop, length + word_length(tail));
    }
    (Token::Number(number.replace(',', "")), length)
}

/// The length of a date such as `2026-11-22`, or of "24/7".
fn no_sum(rest: &str) -> Option<usize> {
    const DATE: &[u8] = b"0000-00-00";
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    };
    let head = rest.as_bytes().get(..DATE.len());
    if head.is_some_and(|head| head.iter().zip(DATE).all(fits)) {
        return Some(DATE.len());
    }
    ends_word(rest, "24/7").then_some(4)
}
