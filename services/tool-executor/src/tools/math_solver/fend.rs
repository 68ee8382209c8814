//! Arithmetic with units, by fend.
//!
//! fend neither yields nor bounds itself: it is asked on a thread, and its interrupt ends it. What it
//! does between two looks at its interrupt must be bounded before: its parser takes twice as long with
//! every nested bracket and a square of the length (measured on fend-core 1.5.9), shifts allocate
//! what they are told, dates are counted day by day. What fend would silently misread is refused
//! too: it reads `7,5` as 75 and `sin 30 degrees` as the sine of 30, in degrees.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::tool::ToolError;

/// Longest expression, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 1000;
/// Most brackets within brackets: parsing takes 12 ms at this depth, and twice that one deeper.
pub const MAX_DEPTH: usize = 12;
/// Longest result, in characters.
pub const MAX_RESULT_CHARS: usize = 10_000;
/// Of the thread that fend is asked on. A thousand nested operators take 24 MiB in a debug build;
/// memory that is not touched costs none.
pub(super) const STACK_BYTES: usize = 64 << 20;
/// Beyond this the calculation is ended, well before the stack is.
const STACK_LIMIT: usize = 48 << 20;

/// Ends a calculation nobody waits for any more, or that recurses too deep.
struct Interrupt<'a> {
    stopped: &'a AtomicBool,
    /// Where the thread's stack begins.
    base: usize,
    too_deep: AtomicBool,
}

/// Where the stack is now.
#[inline(never)]
fn stack_position() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

impl fend_core::Interrupt for Interrupt<'_> {
    fn should_interrupt(&self) -> bool {
        if self.base.abs_diff(stack_position()) > STACK_LIMIT {
            self.too_deep.store(true, Ordering::Relaxed);
            return true;
        }
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Calculates what [`prepare`] wrote, until `stopped` is set.
pub(super) fn evaluate(expression: &str, stopped: &AtomicBool) -> Result<String, ToolError> {
    let interrupt = Interrupt {
        stopped,
        base: stack_position(),
        too_deep: AtomicBool::new(false),
    };
    let mut context = fend_core::Context::new();
    let outcome = fend_core::evaluate_with_interrupt(expression, &mut context, &interrupt);
    if interrupt.too_deep.into_inner() {
        return Err(ToolError::Failed(
            "the expression recurses too deep; simplify it".to_owned(),
        ));
    }
    let result = outcome.map_err(|reason| {
        ToolError::Failed(format!(
            "`{expression}` cannot be calculated: {reason}. Give one expression of numbers, units, \
             + - * / ^ mod ! and functions with their argument in brackets, without words around \
             it; to solve for an unknown, give `equations` instead"
        ))
    })?;
    let text = result.get_main_result().trim();
    let length = text.chars().count();
    if length > MAX_RESULT_CHARS {
        return Err(ToolError::Failed(format!(
            "the result has {length} characters, more than {MAX_RESULT_CHARS}; ask for a smaller \
             number, or for how large it is: `log10(…)`"
        )));
    }
    if text.is_empty() {
        return Err(bad("the expression gives no value"));
    }
    Ok(text.to_owned())
}

/// The expression as fend reads it rightly, or why it is refused.
pub(super) fn prepare(expression: &str) -> Result<String, ToolError> {
    if expression.len() > MAX_EXPRESSION_BYTES {
        let length = expression.len();
        return Err(bad(&format!(
            "the expression has {length} bytes, at most {MAX_EXPRESSION_BYTES} are calculated: \
             split it into several calls"
        )));
    }
    let text = expression.trim().trim_end_matches(['=', '?', ' ']);
    if text.is_empty() {
        return Err(bad("the expression is empty"));
    }
    check_symbols(text)?;
    check_brackets(text)?;
    check_words(text)?;
    Ok(rewrite(text))
}

/// Writes signs of multiplication and degrees that fend does not know as it knows them.
fn rewrite(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '·' | '∗' | '⋅' => written.push('*'),
            '°' if !matches!(rest.peek(), Some('C' | 'F')) => written.push_str(" degrees"),
            _ => written.push(c),
        }
    }
    written
}

fn check_symbols(text: &str) -> Result<(), ToolError> {
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err(bad("the expression holds control characters"));
    }
    if text.contains("<<") || text.contains(">>") {
        return Err(bad("bits are not shifted: multiply or divide by 2^n"));
    }
    if text.contains("=>") || text.contains(['\\', 'λ', ':']) {
        return Err(bad(
            "functions cannot be defined: write the calculation out",
        ));
    }
    if text.contains('@') {
        return Err(bad("dates are not calculated"));
    }
    Ok(())
}

/// Bounds the depth, and refuses commas that do not separate thousands.
fn check_brackets(text: &str) -> Result<(), ToolError> {
    let comma = || {
        bad(
            "a comma may only separate thousands (1,000), and not among a function's arguments: \
             write decimals with a point, and functions of one argument",
        )
    };
    let bytes = text.as_bytes();
    // Of each open bracket: whether it belongs to a function.
    let mut open = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        let before = bytes.get(..at).unwrap_or_default();
        match byte {
            b'(' => {
                let function = before
                    .trim_ascii_end()
                    .last()
                    .is_some_and(u8::is_ascii_alphabetic);
                open.push(function);
            }
            b')' => drop(open.pop()),
            b',' if open.contains(&true) => return Err(comma()),
            b',' => {
                let after = bytes.get(at + 1..).unwrap_or_default();
                let digits = after
                    .iter()
                    .take_while(|next| next.is_ascii_digit())
                    .count();
                if digits != 3 || !before.last().is_some_and(u8::is_ascii_digit) {
                    return Err(comma());
                }
            }
            _ => {}
        }
        if open.len() > MAX_DEPTH {
            return Err(bad(&format!(
                "brackets are nested deeper than {MAX_DEPTH}: split it into several calls"
            )));
        }
    }
    Ok(())
}

/// Functions that angles are given to: without brackets, fend applies a unit to their result.
const ANGLE_FUNCTIONS: [&str; 3] = ["sin", "cos", "tan"];

fn check_words(text: &str) -> Result<(), ToolError> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let word_on = rest.get(start..).unwrap_or_default();
        let end = word_on.find(|c| !is_word(c)).unwrap_or(word_on.len());
        let (word, tail) = word_on.split_at(end);
        rest = tail;
        if word == "date" {
            return Err(bad("dates are not calculated"));
        }
        if is_dice(word) || matches!(word, "roll" | "sample") {
            return Err(bad(
                "dice are not rolled: there is no chance in this calculator",
            ));
        }
        if ANGLE_FUNCTIONS.contains(&word) && !tail.trim_start().starts_with('(') {
            return Err(bad(&format!(
                "put the argument of `{word}` in brackets: `{word}(30 degrees)`, or `{word}(0.5)` \
                 for radians"
            )));
        }
    }
    Ok(())
}

/// `d6`, `2d6`: fend computes the whole distribution.
fn is_dice(word: &str) -> bool {
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    word.split_once('d')
        .is_some_and(|(count, sides)| !sides.is_empty() && all_digits(count) && all_digits(sides))
}

fn bad(reason: &str) -> ToolError {
    ToolError::BadArguments(reason.to_owned())
}
