//! Expressions that fend does not know: functions of integers.

use super::integers::{self, Primality};
use super::number;
use super::polynomial::value_of;
use super::syntax::{self, INTEGER_FUNCTIONS, Term};
use super::work::{Halt, Work};

/// Whether a function of integers is called in the expression. `5 choose (2)` is fend's: a function
/// stands where an operand begins.
pub(super) fn concerns(expression: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut before = None;
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let end = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, tail) = rest.split_at(end);
        let called = tail.trim_start().starts_with('(');
        let begins = before.is_none_or(|last: char| !is_word(last) && !matches!(last, ')' | '!'));
        let word = word.to_lowercase();
        if called && begins && word != "factorial" && INTEGER_FUNCTIONS.contains(&word.as_str()) {
            return true;
        }
        if !first.is_whitespace() {
            before = Some(first);
        }
        rest = tail;
    }
    false
}

/// Calculates the expression exactly, as text.
pub(super) fn calculate(expression: &str, work: &Work<'_>) -> Result<String, Halt> {
    let expression = expression.trim().trim_end_matches(['=', '?', ' ']);
    let term = syntax::parse(expression, &[])?;
    if let Term::Call(name @ ("factor" | "is_prime" | "isprime"), arguments) = &term {
        let [argument] = arguments.as_slice() else {
            return integers::call(name, &[], work).map(|_| String::new());
        };
        let number = value_of(argument, work)?;
        if *name == "factor" {
            return integers::factor(&number, work);
        }
        return Ok(match integers::is_prime(&number, work)? {
            Primality::Prime => "true".to_owned(),
            Primality::Composite => "false".to_owned(),
            Primality::ProbablyPrime => {
                "true (probably: it passes the Miller-Rabin test with 40 bases)".to_owned()
            }
        });
    }
    Ok(number::exact_text(&value_of(&term, work)?))
}
