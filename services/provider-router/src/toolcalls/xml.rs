//! Calls whose arguments are elements: `<function=…>`, `<invoke name="…">`, `<arg_key>`.
//!
//! It is no XML: nobody escapes anything. A value is what stands between two tags, to the letter; one
//! line break on either side belongs to the tags where the format has it. What type it has the schema
//! says, and where the schema does not say, it is text.

use serde_json::{Map, Value};

use super::cursor::Cursor;
use super::json::{Reader, Repairs};
use super::marked::{Fault, Item, Look};
use super::words::{Reason, Repair};
use super::{Format, MAX_CALL_BYTES, Tool};

struct Tags {
    open: &'static str,
    close: &'static str,
    key: &'static str,
    key_close: &'static str,
    format: Format,
}

const TAGS: [Tags; 3] = [
    Tags {
        open: "<function=",
        close: "</function>",
        key: "<parameter=",
        key_close: "</parameter>",
        format: Format::Function,
    },
    Tags {
        open: "<invoke name=",
        close: "</invoke>",
        key: "<parameter name=",
        key_close: "</parameter>",
        format: Format::Invoke,
    },
    // The same with a namespace, in two parts so that no tool that reads this file takes it for a call.
    Tags {
        open: concat!("<", "ant", "ml:invoke name="),
        close: concat!("</", "ant", "ml:invoke>"),
        key: concat!("<", "ant", "ml:parameter name="),
        key_close: concat!("</", "ant", "ml:parameter>"),
        format: Format::Invoke,
    },
];

/// A call in one of these.
///
/// # Errors
/// [`Fault`] where its arguments cannot be read.
pub(super) fn element(
    look: &Look<'_, '_>,
    at: usize,
    stop: Option<&'static str>,
) -> Result<Option<Item>, Fault> {
    let cursor = look.cursor;
    let Some(tags) = TAGS.iter().find(|tags| cursor.sees(at, tags.open)) else {
        return Ok(None);
    };
    let Some((name, inside)) = attribute(cursor, at + tags.open.len()) else {
        return Ok(None);
    };
    let inside = cursor.blank(inside);
    // What is neither is a mention: `<function=name> begins a call`.
    if cursor.byte(inside) == Some(b'{') {
        return in_json(look, tags, name, inside).map(Some);
    }
    let begins = cursor.sees(inside, tags.key) || cursor.sees(inside, tags.close);
    if !begins {
        return Ok(None);
    }
    in_keys(look, tags, name, (inside, stop)).map(Some)
}

/// What stands up to `>`, without quotes, and where it goes on behind.
fn attribute<'t>(cursor: &Cursor<'t>, at: usize) -> Option<(&'t str, usize)> {
    let mut from = at;
    let quote = cursor.byte(at).filter(|byte| matches!(byte, b'"' | b'\''));
    from += usize::from(quote.is_some());
    let to = cursor.name(from);
    let mut end = to;
    if quote.is_some() && cursor.byte(end) == quote {
        end += 1;
    }
    let closed = to > from && cursor.byte(end) == Some(b'>');
    closed.then(|| (cursor.slice(from, to), end + 1))
}

fn in_json(look: &Look<'_, '_>, tags: &Tags, name: &str, at: usize) -> Result<Item, Fault> {
    let mut reader = Reader::new(look.cursor, at).until(Some(tags.close));
    let map = reader
        .object()
        .map_err(|reason| Fault::of(reason, &reader))?;
    let mut repairs = reader.repairs;
    let mut to = look.surplus(reader.at, Some(tags.close), &mut repairs);
    let end = look.cursor.blank(to);
    if !look.cursor.sees(end, tags.close) {
        repairs.insert(Repair::MissingEnd);
    }
    to = look.cursor.behind(end, tags.close).unwrap_or(to);
    let outcome = look.maker.make(name, map, repairs, tags.format);
    Ok(Item::one(outcome, to))
}

/// The arguments from here on; `at` says where, and what ends them from outside.
fn in_keys(
    look: &Look<'_, '_>,
    tags: &Tags,
    name: &str,
    (at, stop): (usize, Option<&'static str>),
) -> Result<Item, Fault> {
    let cursor = look.cursor;
    let mut arguments = Arguments::of(look, name);
    let mut here = at;
    loop {
        here = cursor.blank(here);
        if cursor.sees(here, tags.close) {
            let to = here + tags.close.len();
            return Ok(arguments.call(look, tags.format, to));
        }
        // Every argument so far is whole, so only end tags are missing.
        let stopped = stop.is_some_and(|stop| cursor.sees(here, stop));
        if stopped || cursor.byte(here).is_none() {
            arguments.repairs.insert(Repair::Unclosed);
            return Ok(arguments.call(look, tags.format, here));
        }
        let key = cursor.sees(here, tags.key).then(|| here + tags.key.len());
        let Some((key, from)) = key.and_then(|at| attribute(cursor, at)) else {
            return Err(no_tag(cursor, here));
        };
        let Some(to) = cursor.find(from, tags.key_close) else {
            return Err(cut(cursor));
        };
        arguments.take(key, lines(cursor.slice(from, to)));
        here = to + tags.key_close.len();
    }
}

/// `name`, then `<arg_key>` and `<arg_value>` by turns.
///
/// # Errors
/// [`Fault`] where its arguments cannot be read.
pub(super) fn arg_keys(look: &Look<'_, '_>, at: usize) -> Result<Option<Item>, Fault> {
    const CLOSE: &str = "</tool_call>";
    const PARTS: [(&str, &str); 2] = [("<arg_key>", "</arg_key>"), ("<arg_value>", "</arg_value>")];
    let cursor = look.cursor;
    let to = cursor.name(at);
    let name = cursor.slice(at, to);
    let mut here = cursor.blank(to);
    let [(key_open, _), _] = PARTS;
    let bare = cursor.sees(here, CLOSE) && look.maker.tools.knows(name);
    if name.is_empty() || !(bare || cursor.sees(here, key_open)) {
        return Ok(None);
    }
    let mut arguments = Arguments::of(look, name);
    while cursor.sees(here, key_open) {
        let mut parts = [""; 2];
        for (part, (open, close)) in parts.iter_mut().zip(PARTS) {
            if !cursor.sees(here, open) {
                return Err(no_tag(cursor, here));
            }
            let from = here + open.len();
            let Some(to) = cursor.find(from, close) else {
                return Err(cut(cursor));
            };
            *part = cursor.slice(from, to);
            here = cursor.blank(to + close.len());
        }
        let [key, value] = parts;
        arguments.take(key.trim(), value);
    }
    if cursor.byte(here).is_none() {
        arguments.repairs.insert(Repair::Unclosed);
    } else if !cursor.sees(here, CLOSE) {
        return Err(no_tag(cursor, here));
    }
    Ok(Some(arguments.call(look, Format::ArgKeys, here)))
}

/// Something that is not the tag that must stand here, or the beginning of one.
fn no_tag(cursor: &Cursor<'_>, at: usize) -> Fault {
    let reader = Reader::new(cursor, at);
    let begins = cursor.byte(at) == Some(b'<') && cursor.find(at, ">").is_none();
    if begins {
        return cut(cursor);
    }
    Fault::of(reader.unexpected(), &reader)
}

fn cut(cursor: &Cursor<'_>) -> Fault {
    Fault {
        reason: Some(Reason::CutOff),
        at: cursor.len(),
        depth: 0,
    }
}

/// Without the line breaks that belong to the tags: both or none.
fn lines(value: &str) -> &str {
    let inner = value.strip_prefix('\n');
    inner
        .and_then(|inner| inner.strip_suffix('\n'))
        .unwrap_or(value)
}

/// The arguments of one call, as they come.
struct Arguments<'a> {
    name: &'a str,
    tool: Option<Tool<'a>>,
    map: Map<String, Value>,
    repairs: Repairs,
    /// The first thing wrong with them. The rest is read all the same: where the call ends does not
    /// depend on it.
    wrong: Option<Reason>,
}

impl<'a> Arguments<'a> {
    fn of(look: &Look<'a, '_>, name: &'a str) -> Self {
        let tool = look.maker.tools.get(name, &mut Repairs::new());
        Self {
            name,
            tool: tool.ok().copied(),
            map: Map::new(),
            repairs: Repairs::new(),
            wrong: None,
        }
    }

    fn take(&mut self, key: &str, value: &str) {
        if value.len() > MAX_CALL_BYTES {
            self.wrong.get_or_insert(Reason::TooLong);
            return;
        }
        let tool = self.tool;
        let types: Vec<&str> = tool.iter().flat_map(|tool| tool.types(key)).collect();
        let value = self.typed(&types, value);
        let wrong = match value {
            Some(_) if self.map.contains_key(key) => Reason::DuplicateKey {
                key: key.to_owned(),
            },
            Some(value) => {
                self.map.insert(key.to_owned(), value);
                return;
            }
            None => Reason::Mistyped {
                name: self.name.to_owned(),
                key: key.to_owned(),
                wanted: types.join(" or "),
            },
        };
        self.wrong.get_or_insert(wrong);
    }

    /// The value as one of these types; `None` where it is none of them.
    fn typed(&mut self, types: &[&str], said: &str) -> Option<Value> {
        if types.is_empty() || types.contains(&"string") {
            return Some(Value::String(said.to_owned()));
        }
        // The space is for numbers: at the very end of a text they may be cut off.
        let text = format!("{} ", said.trim());
        let cursor = Cursor::new(&text);
        let mut reader = Reader::new(&cursor, 0);
        let value = reader.value().ok()?;
        let whole = cursor.blank(reader.at) == text.len();
        let unclosed = reader.repairs.contains(&Repair::Unclosed);
        let kind = match &value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if !number.is_f64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => return None,
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let fits = types.contains(&kind) || (kind == "integer" && types.contains(&"number"));
        if !whole || unclosed || !fits {
            return None;
        }
        self.repairs.extend(reader.repairs);
        Some(value)
    }

    fn call(self, look: &Look<'_, '_>, format: Format, to: usize) -> Item {
        let made = look.maker.make(self.name, self.map, self.repairs, format);
        // A tool that does not exist says more than what is wrong with its arguments.
        let outcome = match (made, self.wrong) {
            (Ok(_), Some(wrong)) => Err(wrong),
            (made, _) => made,
        };
        Item::one(outcome, to)
    }
}
