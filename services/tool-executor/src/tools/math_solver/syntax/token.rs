//! Text to tokens.

use std::fmt;

use crate::tools::math_solver::number;
use crate::tools::math_solver::work::{Halt, Rational, unfit};

/// Longest name.
const MAX_NAME_CHARS: usize = 32;

/// A sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
    Times,
    Over,
    Caret,
    Factorial,
    Open,
    Close,
    Comma,
}

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(Rational),
    Name(String),
    Function(&'static str),
    Sign(Sign),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self {
            Self::Number(value) => return value.fmt(f),
            Self::Name(name) => return f.write_str(name),
            Self::Function(name) => return f.write_str(name),
            Self::Sign(sign) => sign,
        };
        f.write_str(match sign {
            Sign::Plus => "+",
            Sign::Minus => "-",
            Sign::Times => "*",
            Sign::Over => "/",
            Sign::Caret => "^",
            Sign::Factorial => "!",
            Sign::Open => "(",
            Sign::Close => ")",
            Sign::Comma => ",",
        })
    }
}

/// Splits the text. Names of `unknowns` win over constants, and over the `e` of an exponent.
pub(super) fn split(text: &str, unknowns: &[String]) -> Result<Vec<Token>, Halt> {
    let scientific = !unknowns.iter().any(|name| name.eq_ignore_ascii_case("e"));
    let mut tokens = Vec::new();
    let mut rest = text;
    // Of each open bracket: whether it belongs to a function.
    let mut open: Vec<bool> = Vec::new();
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        } else if first.is_ascii_digit() || first == '.' {
            let place = Place {
                scientific,
                in_function: open.contains(&true),
            };
            let length = number_length(rest, place)?;
            let (digits, tail) = rest.split_at(length);
            tokens.push(Token::Number(number_of(digits)?));
            rest = tail;
        } else if first.is_alphabetic() || first == '_' {
            let is_name = |c: char| c.is_alphanumeric() && superscript(c).is_none() || c == '_';
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let (name, tail) = rest.split_at(end);
            push_name(name, tail, unknowns, &mut tokens)?;
            rest = tail;
        } else {
            push_sign(first, &mut tokens)?;
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            match tokens.last() {
                Some(Token::Sign(Sign::Open)) => {
                    let before = tokens.iter().rev().nth(1);
                    open.push(matches!(before, Some(Token::Function(_))));
                }
                Some(Token::Sign(Sign::Close)) => drop(open.pop()),
                _ => {}
            }
        }
    }
    Ok(tokens)
}

fn superscript(c: char) -> Option<u8> {
    match c {
        '²' => Some(2),
        '³' => Some(3),
        _ => None,
    }
}

fn push_sign(sign: char, tokens: &mut Vec<Token>) -> Result<(), Halt> {
    let sign = match sign {
        '+' => Sign::Plus,
        '-' | '\u{2212}' => Sign::Minus,
        '*' if tokens.last() == Some(&Token::Sign(Sign::Times)) => {
            // `**` is a power.
            tokens.pop();
            Sign::Caret
        }
        '*' | '×' | '·' | '∗' | '⋅' => Sign::Times,
        '/' | '÷' => Sign::Over,
        '^' => Sign::Caret,
        '!' => Sign::Factorial,
        '(' | '[' | '{' => Sign::Open,
        ')' | ']' | '}' => Sign::Close,
        ',' => Sign::Comma,
        '√' => {
            tokens.push(Token::Function("sqrt"));
            return Ok(());
        }
        other => {
            if let Some(power) = superscript(other) {
                tokens.push(Token::Sign(Sign::Caret));
                tokens.push(Token::Number(Rational::from_integer(power.into())));
                return Ok(());
            }
            return unfit(format!(
                "`{}` is not understood: write terms with + - * / ^ ! and brackets",
                other.escape_debug()
            ));
        }
    };
    tokens.push(Token::Sign(sign));
    Ok(())
}

/// What a number's place says of how it is read.
#[derive(Clone, Copy)]
struct Place {
    /// An `e` among digits begins an exponent of ten.
    scientific: bool,
    /// A comma separates arguments.
    in_function: bool,
}

/// How many bytes belong to the number that the text begins with.
fn number_length(text: &str, place: Place) -> Result<usize, Halt> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let tail = bytes.get(from..).unwrap_or_default();
        tail.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let at = |index: usize| bytes.get(index).copied();
    let mut length = digits(0);
    // Groups of thousands, where a comma cannot separate arguments.
    while at(length) == Some(b',') && digits(length + 1) > 0 {
        if digits(length + 1) == 3 && !place.in_function {
            length += 4;
        } else if place.in_function {
            break;
        } else {
            return unfit(format!(
                "a comma may only separate thousands or arguments: write decimals with a point in \
                 `{text}`"
            ));
        }
    }
    if at(length) == Some(b'.') {
        length += 1 + digits(length + 1);
    }
    if place.scientific && matches!(at(length), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(at(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + signed);
        if exponent > 0 {
            length += 1 + signed + exponent;
        }
    }
    Ok(length)
}

fn number_of(digits: &str) -> Result<Rational, Halt> {
    number::decimal(&digits.replace(',', "")).map_or_else(
        || unfit(format!("`{digits}` is no number, or too large")),
        Ok,
    )
}

/// A name: a function before its bracket, an unknown, a constant, or a product of unknowns.
fn push_name(
    name: &str,
    tail: &str,
    unknowns: &[String],
    tokens: &mut Vec<Token>,
) -> Result<(), Halt> {
    let given = |name: &str| unknowns.iter().any(|unknown| unknown == name);
    let called = tail.trim_start().starts_with('(');
    if name.chars().count() > MAX_NAME_CHARS {
        return unfit(format!(
            "a name may have {MAX_NAME_CHARS} characters: give equations, not prose"
        ));
    }
    if given(name) {
        tokens.push(Token::Name(name.to_owned()));
        return Ok(());
    }
    if let Some(known) = super::function(&name.to_lowercase()) {
        if called && super::INTEGER_FUNCTIONS.contains(&known) {
            refuse_thousands(tail)?;
        }
        tokens.push(Token::Function(known));
        return Ok(());
    }
    if name.eq_ignore_ascii_case("log") {
        return unfit("`log` can be read in two ways: write `ln(…)` or `log10(…)`");
    }
    let letters: Vec<String> = name.chars().map(String::from).collect();
    if letters.len() > 1 && letters.iter().all(|letter| given(letter)) {
        tokens.extend(letters.into_iter().map(Token::Name));
        return Ok(());
    }
    if called && letters.len() > 1 {
        return unfit(format!(
            "`{name}` is no function that is known, nor an unknown that was given"
        ));
    }
    let name = if name == "π" { "pi" } else { name };
    tokens.push(Token::Name(name.to_owned()));
    Ok(())
}

/// `gcd(1,250, 3)` has two arguments or three: among mixed commas, those of thousands are refused.
fn refuse_thousands(tail: &str) -> Result<(), Halt> {
    let end = tail.find(')').unwrap_or(tail.len());
    let inside = tail.get(..end).unwrap_or_default();
    let groups: Vec<&str> = inside.split(',').skip(1).collect();
    let tight = |group: &&str| group.bytes().take_while(u8::is_ascii_digit).count() == 3;
    let zeros = groups
        .iter()
        .any(|group| tight(group) && group.starts_with('0'));
    let mixed = groups.iter().any(tight)
        && groups
            .iter()
            .any(|group| group.starts_with(char::is_whitespace));
    if zeros || mixed {
        return unfit(
            "a comma separates arguments here: write numbers without commas for thousands, and \
             arguments with spaces after the comma",
        );
    }
    Ok(())
}
