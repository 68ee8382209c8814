//! JSON values as calls: the shapes that models write.
//!
//! | shape | as with |
//! |---|---|
//! | `{"name": …, "arguments": {…}}`, other words for both | Hermes, Llama, Mistral, Cohere |
//! | `{"type": "function", "function": {"name": …, "arguments": "{…}"}}` | `OpenAI` |
//! | `{"tool_calls": […]}`, `{"function_call": {…}}` | `OpenAI` |
//! | a list of these | Mistral, Phi, Granite |

use serde_json::{Map, Value};

use super::cursor::Cursor;
use super::json::{Reader, Repairs};
use super::tools::Tools;
use super::words::{Ambiguity, Reason, Repair};
use super::{Call, Ending, Format};

/// Keys that name the tool.
pub(super) const NAMES: [&str; 6] = [
    "name",
    "tool",
    "tool_name",
    "function",
    "function_name",
    "action",
];
/// Keys that hold its arguments.
pub(super) const ARGUMENTS: [&str; 6] = [
    "arguments",
    "parameters",
    "args",
    "input",
    "tool_input",
    "action_input",
];
/// Keys that may stand beside them.
pub(super) const BESIDE: [&str; 10] = [
    "id",
    "type",
    "index",
    "call_id",
    "tool_call_id",
    "tool_calls",
    "function_call",
    "role",
    "content",
    "refusal",
];

/// How sure it is that something is meant as a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sure {
    /// Something around it says so.
    Marked,
    /// It only looks like one.
    Bare,
}

/// A call and what was repaired for it.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) call: Call,
    pub(super) repairs: Repairs,
}

pub(super) type Outcome = Result<Made, Reason>;

/// What a value says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) outcomes: Vec<Outcome>,
    /// Text for people that stood inside.
    pub(super) text: String,
}

/// Makes calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maker<'a> {
    pub(super) tools: &'a Tools<'a>,
    pub(super) ending: Ending,
}

impl Maker<'_> {
    /// The calls of a value; none where it is no call at all.
    pub(super) fn read(&self, value: Value, repairs: &Repairs, format: Format, sure: Sure) -> Said {
        let (items, text, format) = match value {
            Value::Array(items) => (items, String::new(), format),
            Value::Object(mut map) => match several(&mut map) {
                Some((items, text)) => (items, text, Format::OpenAi),
                None => (vec![Value::Object(map)], String::new(), format),
            },
            _ => return Said::default(),
        };
        let mut parts: Vec<Result<Part, Reason>> = items.into_iter().map(part).collect();
        if sure == Sure::Bare {
            let is_call = |part: &Result<Part, Reason>| match part {
                Ok(part) => part.arguments.is_some() && self.is_like(&part.name),
                Err(reason) => matches!(reason, Reason::Ambiguous { .. }),
            };
            let calls = parts.iter().filter(|part| is_call(part)).count();
            if calls == 0 {
                return Said::default();
            }
            if calls < parts.len() {
                parts = vec![Err(Ambiguity::Mixed.into())];
            }
        }
        let made = parts.into_iter().map(|part| {
            let part = part?;
            let format = part.format.unwrap_or(format);
            self.with_arguments(&part.name, part.arguments, repairs.clone(), format)
        });
        Said {
            outcomes: made.collect(),
            text,
        }
    }

    /// Whether a tool of this name or of one like it was offered.
    fn is_like(&self, name: &str) -> bool {
        self.tools.knows(name) || self.tools.nearest(name).is_some()
    }

    fn with_arguments(
        &self,
        name: &str,
        arguments: Option<Value>,
        mut repairs: Repairs,
        format: Format,
    ) -> Outcome {
        let wrong = || Reason::ArgumentsNotObject {
            name: name.to_owned(),
        };
        let known = self.tools.get(name, &mut repairs).map(|_| ());
        known?;
        let arguments = match arguments {
            Some(Value::Object(map)) => map,
            None | Some(Value::Null) => {
                repairs.insert(Repair::NoArguments);
                Map::new()
            }
            Some(Value::String(text)) => from_text(&text, &mut repairs, wrong)?,
            Some(_) => return Err(wrong()),
        };
        self.make(name, arguments, repairs, format)
    }

    /// The call of this name with these arguments.
    ///
    /// # Errors
    /// [`Reason::UnknownTool`]; [`Reason::CutOff`] where what is missing may be more than brackets.
    pub(super) fn make(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        mut repairs: Repairs,
        format: Format,
    ) -> Outcome {
        let tool = self.tools.get(name, &mut repairs)?;
        let closed = repairs.contains(&Repair::Unclosed);
        if closed && (self.ending == Ending::CutShort || tool.lacks(&arguments)) {
            return Err(Reason::CutOff);
        }
        Ok(Made {
            call: Call {
                name: tool.name.to_owned(),
                arguments,
                format,
            },
            repairs,
        })
    }
}

/// Arguments that are JSON inside of a string.
fn from_text(
    text: &str,
    repairs: &mut Repairs,
    wrong: impl Fn() -> Reason,
) -> Result<Map<String, Value>, Reason> {
    if text.trim().is_empty() {
        repairs.insert(Repair::NoArguments);
        return Ok(Map::new());
    }
    let cursor = Cursor::new(text);
    let mut reader = Reader::new(&cursor, cursor.blank(0));
    if cursor.byte(reader.at) != Some(b'{') {
        return Err(wrong());
    }
    let map = reader.object()?;
    if cursor.blank(reader.at) < text.len() {
        return Err(wrong());
    }
    repairs.extend(reader.repairs);
    Ok(map)
}

/// One call, taken apart.
struct Part {
    name: String,
    arguments: Option<Value>,
    format: Option<Format>,
}

/// The calls of an object that is a whole message, and what it says beside them.
fn several(map: &mut Map<String, Value>) -> Option<(Vec<Value>, String)> {
    let items = match (map.remove("tool_calls"), map.remove("function_call")) {
        (Some(Value::Array(items)), None | Some(Value::Null)) => items,
        (None | Some(Value::Null), Some(call @ Value::Object(_))) => vec![call],
        _ => return None,
    };
    let text = match map.remove("content") {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    Some((items, text))
}

/// # Errors
/// [`Reason`] why it is no call.
fn part(value: Value) -> Result<Part, Reason> {
    let Value::Object(mut map) = value else {
        return Err(Reason::NoName);
    };
    if let Some(Value::Object(inner)) = map.get_mut("function") {
        let inner = std::mem::take(inner);
        map.remove("function");
        if let Some(stray) = map.keys().find(|key| !BESIDE.contains(&key.as_str())) {
            return Err(Reason::StrayKey { key: stray.clone() });
        }
        let mut part = part(Value::Object(inner))?;
        part.format = Some(Format::OpenAi);
        return Ok(part);
    }
    let name = only(&mut map, &NAMES, Ambiguity::TwoNames)?;
    let arguments = only(&mut map, &ARGUMENTS, Ambiguity::TwoArguments)?;
    let Some(Value::String(name)) = name else {
        return Err(Reason::NoName);
    };
    if let Some(stray) = map.keys().find(|key| !BESIDE.contains(&key.as_str())) {
        return Err(Reason::StrayKey { key: stray.clone() });
    }
    Ok(Part {
        name: name.trim().to_owned(),
        arguments,
        format: None,
    })
}

/// The value of whichever of these keys is there.
fn only(
    map: &mut Map<String, Value>,
    keys: &[&str],
    twice: Ambiguity,
) -> Result<Option<Value>, Reason> {
    let mut found = keys.iter().filter_map(|key| map.remove(*key));
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(twice.into()),
    }
}
