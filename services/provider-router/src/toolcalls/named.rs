//! Calls that are a name, a token and the arguments.

use super::Format;
use super::json::Reader;
use super::marked::{Fault, Item, Look};
use super::words::Repair;

/// What stands before the name, before the arguments, and behind them.
struct Tokens {
    open: &'static str,
    arguments: &'static str,
    close: &'static str,
}

const TOKENS: [Tokens; 3] = [
    // DeepSeek
    Tokens {
        open: "<｜tool▁call▁begin｜>",
        arguments: "<｜tool▁sep｜>",
        close: "<｜tool▁call▁end｜>",
    },
    // Kimi
    Tokens {
        open: "<|tool_call_begin|>",
        arguments: "<|tool_call_argument_begin|>",
        close: "<|tool_call_end|>",
    },
    // gpt-oss
    Tokens {
        open: "<|channel|>commentary to=",
        arguments: "<|message|>",
        close: "<|call|>",
    },
];

/// A call in one of these, or behind Functionary's `>>>`.
///
/// # Errors
/// [`Fault`] where the arguments are broken.
pub(super) fn named(look: &Look<'_, '_>, at: usize) -> Result<Option<Item>, Fault> {
    let cursor = look.cursor;
    let Some(tokens) = TOKENS.iter().find(|one| cursor.sees(at, one.open)) else {
        return recipient(look, at);
    };
    let from = cursor.blank(at + tokens.open.len());
    let to = cursor.name(from);
    let mut name = cursor.slice(from, to);
    // Kimi counts its calls.
    let mut here = cursor.while_byte(to, |byte| byte == b':' || byte.is_ascii_digit());
    here = cursor.blank(here);
    for word in ["<|constrain|>", "json"] {
        if cursor.sees(here, word) {
            here = cursor.blank(here + word.len());
        }
    }
    if !cursor.sees(here, tokens.arguments) {
        return Ok(None);
    }
    here = cursor.blank(here + tokens.arguments.len());
    // Older DeepSeeks write the kind of tool first, and the arguments in a fence.
    if name == "function" && cursor.byte(here) != Some(b'{') {
        let to = cursor.name(here);
        name = cursor.slice(here, to);
        here = cursor.blank(to);
    }
    for fence in ["```json", "```"] {
        if cursor.sees(here, fence) {
            here = cursor.blank(here + fence.len());
        }
    }
    let name = name.strip_prefix("functions.").unwrap_or(name);
    object(look, here, name, Some(tokens.close))
}

/// `[TOOL_CALLS]name[CALL_ID]id[ARGS]{…}`, behind the first of these.
///
/// # Errors
/// [`Fault`] where the arguments are broken.
pub(super) fn mistral(look: &Look<'_, '_>, at: usize) -> Result<Option<Item>, Fault> {
    let cursor = look.cursor;
    let mut here = cursor.name(at);
    let name = cursor.slice(at, here);
    if cursor.sees(here, "[CALL_ID]") {
        here = cursor.name(here + "[CALL_ID]".len());
    }
    if cursor.sees(here, "[ARGS]") {
        here = cursor.blank(here + "[ARGS]".len());
    }
    if name.is_empty() {
        return Ok(None);
    }
    let item = object(look, here, name, None)?;
    Ok(item.map(|item| as_written(item, Format::Mistral)))
}

/// `>>>name`, and the arguments on the next line. A shell's prompt looks the same, so only where the
/// name is one that was offered.
fn recipient(look: &Look<'_, '_>, at: usize) -> Result<Option<Item>, Fault> {
    let cursor = look.cursor;
    if !cursor.sees(at, ">>>") {
        return Ok(None);
    }
    let from = at + ">>>".len();
    let to = cursor.name(from);
    let name = cursor.slice(from, to);
    if cursor.byte(to) != Some(b'\n') || !look.maker.tools.knows(name) {
        return Ok(None);
    }
    object(look, to + 1, name, None)
}

fn as_written(mut item: Item, format: Format) -> Item {
    for made in item.outcomes.iter_mut().flatten() {
        made.call.format = format;
    }
    item
}

/// The arguments that begin here, up to the token that ends them.
fn object(
    look: &Look<'_, '_>,
    at: usize,
    name: &str,
    close: Option<&'static str>,
) -> Result<Option<Item>, Fault> {
    let cursor = look.cursor;
    if name.is_empty() || cursor.byte(at) != Some(b'{') {
        return Ok(None);
    }
    let mut reader = Reader::new(cursor, at).until(close);
    let map = reader
        .object()
        .map_err(|reason| Fault::of(reason, &reader))?;
    let mut repairs = reader.repairs;
    let mut to = look.surplus(reader.at, close, &mut repairs);
    if let Some(close) = close {
        let mut end = cursor.blank(to);
        if cursor.sees(end, "```") {
            end = cursor.blank(end + 3);
        }
        if !cursor.sees(end, close) {
            repairs.insert(Repair::MissingEnd);
        }
        to = cursor.behind(end, close).unwrap_or(to);
    }
    let outcome = look.maker.make(name, map, repairs, Format::Named);
    Ok(Some(Item::one(outcome, to)))
}
