//! Fences of backticks. One is a call if it holds calls and nothing else; otherwise it is prose, with
//! all that is in it: code that shows how a call looks is no call.

use super::Format;
use super::head::Head;
use super::json::Reader;
use super::marked::{Fault, Found, Item, Look};
use super::python;
use super::scan::{Block, Step};
use super::shape::Sure;
use super::words::{Ambiguity, Repair};

const FENCE: &str = "```";

/// Words behind the opening that say that calls follow.
const OF_CALLS: [&str; 6] = [
    "tool_call",
    "tool_calls",
    "tool_code",
    "tool_use",
    "function_call",
    "tool",
];
/// Words that calls may stand behind.
const OF_DATA: [&str; 8] = [
    "",
    "json",
    "jsonc",
    "json5",
    "JSON",
    "xml",
    "text",
    "plaintext",
];

/// What a fence is for, by the word behind its opening.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Calls,
    Python,
    Data,
    Code,
}

impl Kind {
    fn of(word: &str) -> Self {
        match word {
            "tool_code" => Self::Python,
            word if OF_CALLS.contains(&word) => Self::Calls,
            word if OF_DATA.contains(&word) => Self::Data,
            _ => Self::Code,
        }
    }
}

/// What stands before on its line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    Something,
}

/// What the body of a fence turned out to be.
enum Body {
    /// Calls or refusals.
    Found(Found),
    /// Not only calls.
    Other,
}

/// What the `run` backticks here begin.
pub(super) fn step(look: &Look<'_, '_>, at: usize, run: usize, before: Before) -> Step {
    let cursor = look.cursor;
    let from = at + run;
    let to = cursor.while_byte(from, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let kind = Kind::of(cursor.slice(from, to));
    let inside = cursor.while_byte(to, |byte| matches!(byte, b' ' | b'\t' | b'\r'));
    let next = cursor.byte(inside);
    let opens = next == Some(b'\n');
    let body = match next {
        Some(b'\n' | b'{' | b'[' | b'<') if kind != Kind::Code => body(look, inside, kind),
        _ => Body::Other,
    };
    let end = || {
        if opens || before == Before::Nothing {
            closing(look, from, run)
        } else {
            from
        }
    };
    match body {
        Body::Other => Step::Prose(end()),
        Body::Found(found) => {
            let resume = match found.fault {
                Some(_) => end().max(found.to),
                None => found.to,
            };
            let block = Block {
                from: at,
                to: found.to,
                outcomes: found.outcomes,
                text: found.text,
            };
            Step::Block(block, resume)
        }
    }
}

/// Behind the line that closes a fence; the end of the text where none does.
fn closing(look: &Look<'_, '_>, from: usize, run: usize) -> usize {
    let text = look.cursor.text();
    // A line with more backticks behind the opening opens nothing.
    let line = text.get(from..).unwrap_or_default();
    let line = line.split('\n').next().unwrap_or_default();
    look.cursor.looked_at(line.len());
    if line.contains('`') {
        return from;
    }
    if from + line.len() == text.len() {
        // The line may go on.
        look.cursor.byte(text.len());
        return text.len();
    }
    let mut at = from + line.len();
    for line in text.get(at..).unwrap_or_default().split_inclusive('\n') {
        look.cursor.looked_at(line.len());
        let ticks = line.trim_start_matches([' ', '\t']);
        let indent = line.len() - ticks.len();
        let count = ticks.len() - ticks.trim_start_matches('`').len();
        if count >= run {
            return at + indent + count;
        }
        at += line.len();
    }
    text.len()
}

fn body(look: &Look<'_, '_>, at: usize, kind: Kind) -> Body {
    let cursor = look.cursor;
    let mut found = Found::default();
    let mut here = at;
    loop {
        here = cursor.while_byte(here, |byte| {
            byte.is_ascii_whitespace() || matches!(byte, b',' | b';')
        });
        if cursor.sees(here, FENCE) {
            found.to = cursor.while_byte(here, |byte| byte == b'`');
            break;
        }
        let half = cursor.behind(here, FENCE);
        if cursor.byte(here).is_none() || half.is_some() {
            found.to = half.unwrap_or(found.to);
            found.note(Repair::MissingEnd);
            break;
        }
        let item = match item(look, here, kind) {
            Ok(item) => item,
            Err(fault) if fault.reason.is_none() && found.outcomes.is_empty() => {
                return Body::Other;
            }
            Err(fault) => {
                found.fail(fault);
                return Body::Found(found);
            }
        };
        match item {
            Some(item) => {
                here = item.to;
                found.push(item);
            }
            None if found.outcomes.is_empty() => return Body::Other,
            None => {
                return Body::Found(Found::failed(Fault {
                    reason: Some(Ambiguity::Mixed.into()),
                    at: here,
                    depth: 0,
                }));
            }
        }
    }
    if found.outcomes.is_empty() {
        return Body::Other;
    }
    Body::Found(found)
}

fn item(look: &Look<'_, '_>, at: usize, kind: Kind) -> Result<Option<Item>, Fault> {
    let cursor = look.cursor;
    if let Some(found) = look.marked(at) {
        return match found.fault {
            Some(fault) => Err(Fault {
                reason: found.outcomes.into_iter().find_map(Result::err),
                ..fault
            }),
            None => Ok(Some(Item {
                to: found.to,
                outcomes: found.outcomes,
                text: found.text,
            })),
        };
    }
    let is_list = python::is_list(look, at);
    match (cursor.byte(at), kind) {
        (Some(b'['), Kind::Python) if is_list => python::list(look, at, Some(FENCE)).map(Some),
        (Some(b'['), Kind::Calls | Kind::Data) if python::begins(look, at) => {
            python::list(look, at, Some(FENCE)).map(Some)
        }
        (Some(b'{' | b'['), Kind::Calls | Kind::Python) => {
            look.json(at, Some(FENCE), Format::Fenced).map(Some)
        }
        (Some(b'{'), _) => data(look, at, 1),
        (Some(b'['), _) => data(look, at, 2),
        (_, Kind::Python) => python::call(look, at, Some(FENCE)),
        _ => Ok(None),
    }
}

/// JSON that may be anything.
fn data(look: &Look<'_, '_>, at: usize, level: usize) -> Result<Option<Item>, Fault> {
    let head = Head::new(look.maker.tools, level);
    let mut reader = Reader::new(look.cursor, at)
        .until(Some(FENCE))
        .watched(head);
    let read = reader.value();
    let head = reader.head.take();
    if head.as_ref().is_some_and(Head::is_foreign) {
        // No call, however it goes on, and so the fence is none.
        look.cursor.forget();
        return Ok(None);
    }
    match read {
        Ok(value) => {
            let mut repairs = reader.repairs;
            let to = look.surplus(reader.at, Some(FENCE), &mut repairs);
            let said = look.maker.read(value, &repairs, Format::Fenced, Sure::Bare);
            let item = Item {
                to,
                outcomes: said.outcomes,
                text: said.text,
            };
            Ok((!item.outcomes.is_empty()).then_some(item))
        }
        Err(reason) => {
            let looks = head.is_some_and(|head| head.looks_like_a_call());
            Err(Fault {
                reason: looks.then_some(reason),
                at: reader.at,
                depth: reader.depth,
            })
        }
    }
}
