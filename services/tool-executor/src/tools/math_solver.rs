//! `math_solver`: exact arithmetic with units, by fend.
//!
//! fend is asked on a thread of its own, because it neither yields nor bounds itself. What it does
//! between two looks at its interrupt must be bounded before: its parser takes twice as long with
//! every nested bracket and a square of the length (measured on fend-core 1.5.9), shifts allocate
//! what they are told, dates are counted day by day. What fend would silently misread is refused
//! too: it reads `7,5` as 75 and `sin 30 degrees` as the sine of 30, in degrees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::tool::{Tool, ToolContext, ToolError};

/// Longest expression, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 1000;
/// Most brackets within brackets: parsing takes 12 ms at this depth, and twice that one deeper.
pub const MAX_DEPTH: usize = 12;
/// Longest result, in characters.
pub const MAX_RESULT_CHARS: usize = 10_000;
/// A thousand nested operators take 24 MiB in a debug build; memory that is not touched costs none.
const STACK_BYTES: usize = 64 << 20;
/// Beyond this the calculation is ended, well before the stack is.
const STACK_LIMIT: usize = 48 << 20;

/// Calculates.
pub struct MathSolver {
    /// Calculations run on processors, so there are as many at once. One that cannot be stopped
    /// keeps its permit, and the tool degrades instead of the machine.
    processors: Arc<Semaphore>,
}

/// The arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// What to calculate, such as `37 * 43`, `2^200`, `(1/3 + 1/7) to fraction`,
    /// `5 km + 3 miles to m`, `sin(30 degrees)` or `15% of 80`. Arguments of functions go in
    /// brackets; a comma may only separate thousands.
    pub expression: String,
}

impl MathSolver {
    /// As many calculations at once as there are processors.
    #[must_use]
    pub fn new() -> Self {
        let processors = thread::available_parallelism().map_or(2, usize::from);
        Self {
            processors: Arc::new(Semaphore::new(processors)),
        }
    }
}

impl Default for MathSolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Tool for MathSolver {
    const NAME: &'static str = "math_solver";
    const DESCRIPTION: &'static str = "Calculates exactly: arithmetic with integers of any size and \
        fractions, powers, roots, factorials, logarithms, trigonometry, percentages, bases, and \
        conversion between units. Use it for every calculation. A result that had to be rounded \
        begins with `approx.`; append `to 30 dp`, `to 10 sf` or `to fraction` to choose its form.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(2));
    type Args = Args;
    type Output = Value;

    async fn call(&self, args: Args, _: &ToolContext) -> Result<Value, ToolError> {
        let expression = args.expression;
        let readable = prepare(&expression)?;
        let permit = Arc::clone(&self.processors).acquire_owned().await;
        let permit = permit.map_err(|error| ToolError::Failed(error.to_string()))?;
        let result = calculate(readable, permit).await?;
        Ok(json!({ "expression": expression, "result": result }))
    }
}

/// Calculates on a thread, which ends early when the future is dropped.
async fn calculate(expression: String, permit: OwnedSemaphorePermit) -> Result<String, ToolError> {
    let stop = StopOnDrop(Arc::default());
    let stopped = Arc::clone(&stop.0);
    let (answer, answered) = oneshot::channel();
    let work = move || {
        let _permit = permit;
        // Nobody hears it when the call was given up.
        let _ = answer.send(evaluate(&expression, stopped));
    };
    thread::Builder::new()
        .name("math_solver".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map_err(|error| ToolError::Failed(format!("no thread to calculate on: {error}")))?;
    answered.await.map_err(|_died| {
        ToolError::Failed("the calculator broke on this expression; write it differently".into())
    })?
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Ends a calculation nobody waits for any more, or that recurses too deep.
struct Interrupt {
    stopped: Arc<AtomicBool>,
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

impl fend_core::Interrupt for Interrupt {
    fn should_interrupt(&self) -> bool {
        if self.base.abs_diff(stack_position()) > STACK_LIMIT {
            self.too_deep.store(true, Ordering::Relaxed);
            return true;
        }
        self.stopped.load(Ordering::Relaxed)
    }
}

fn evaluate(expression: &str, stopped: Arc<AtomicBool>) -> Result<String, ToolError> {
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
             + - * / ^ mod ! and functions with their argument in brackets, without words around it"
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
fn prepare(expression: &str) -> Result<String, ToolError> {
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
