//! Reads the body of `POST /v1/messages`: everything that can be said against it is said here,
//! before anything is stored.

use nexus_contracts::events::MessageSubmitted;
use nexus_contracts::events::message::MAX_TEXT_BYTES;
use nexus_contracts::{ConversationId, Extra};
use serde_json::{Map, Value};

/// Longest `metadata`, in bytes of JSON.
pub const MAX_METADATA_BYTES: usize = 16 * 1024;

/// Longest name of a provider, model or tool, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// Most tools one message may list.
pub const MAX_TOOLS: usize = 128;

/// Longest body, in bytes: room for the longest text with a good part of it escaped.
pub const MAX_BODY_BYTES: usize = 4 * MAX_TEXT_BYTES;

const FIELDS: [&str; 6] = [
    "text",
    "conversation_id",
    "provider",
    "model",
    "tools",
    "metadata",
];

/// The names a message may use; `None` while they are not known, and then anything goes.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Names of providers.
    pub providers: Option<Vec<String>>,
    /// Names of tools.
    pub tools: Option<Vec<String>>,
}

/// What is wrong with a request, in the terms of RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The HTTP status: 400 cannot be read, 413 too long, 422 readable but not acceptable.
    pub status: u16,
    /// A stable word for programs.
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub detail: String,
}

impl Invalid {
    fn malformed(detail: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: "malformed_request",
            detail: detail.into(),
        }
    }

    fn too_long(detail: impl Into<String>) -> Self {
        Self {
            status: 413,
            code: "too_long",
            detail: detail.into(),
        }
    }

    /// Readable, but not acceptable.
    pub(crate) fn unacceptable(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: 422,
            code,
            detail: detail.into(),
        }
    }
}

/// Reads and checks a body.
///
/// # Errors
/// [`Invalid`] with everything the client needs to mend its request.
pub fn parse(body: &[u8]) -> Result<MessageSubmitted, Invalid> {
    let mut fields = object(body)?;
    check_fields(&fields)?;
    Ok(MessageSubmitted {
        text: text(&mut fields)?,
        conversation_id: conversation(&mut fields)?,
        provider: name(&mut fields, "provider")?,
        model: name(&mut fields, "model")?,
        tools: tools(&mut fields)?,
        metadata: metadata(&mut fields)?,
        extra: Extra::new(),
    })
}

/// Checks the names a message uses against those there are.
///
/// # Errors
/// [`Invalid`] that names the nearest one and all of them.
pub fn check_names(event: &MessageSubmitted, known: &Known) -> Result<(), Invalid> {
    if let Some(provider) = &event.provider {
        listed("provider", provider, known.providers.as_deref())?;
    }
    for tool in event.tools.iter().flatten() {
        listed("tool", tool, known.tools.as_deref())?;
    }
    Ok(())
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Invalid> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Invalid::too_long(format!(
            "the body exceeds {MAX_BODY_BYTES} bytes"
        )));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        Invalid::malformed(format!(
            "the body is not UTF-8 from byte {} on",
            error.valid_up_to()
        ))
    })?;
    if text.trim().is_empty() {
        return Err(Invalid::malformed(
            "the body is empty; send {\"text\": \"…\"}",
        ));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(Invalid::malformed(format!(
            "the body is {}; send an object such as {{\"text\": \"…\"}}",
            kind_of(&other)
        ))),
        Err(error) => Err(Invalid::malformed(format!("the body is not JSON: {error}"))),
    }
}

fn check_fields(fields: &Map<String, Value>) -> Result<(), Invalid> {
    let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) else {
        return Ok(());
    };
    let hint = nearest(unknown, FIELDS)
        .map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"));
    Err(Invalid::unacceptable(
        "unknown_field",
        format!(
            "unknown field `{}`{hint}; known are {}",
            shown(unknown),
            FIELDS.join(", ")
        ),
    ))
}

fn text(fields: &mut Map<String, Value>) -> Result<String, Invalid> {
    let text = match fields.remove("text") {
        Some(Value::String(text)) => text,
        Some(other) => return Err(wrong_type("text", "a string", &other)),
        None => {
            return Err(Invalid::unacceptable(
                "missing_field",
                "field `text` is missing",
            ));
        }
    };
    if text.len() > MAX_TEXT_BYTES {
        return Err(Invalid::too_long(format!(
            "field `text` has {} bytes; at most {MAX_TEXT_BYTES} are taken",
            text.len()
        )));
    }
    if text.trim().is_empty() {
        return Err(Invalid::unacceptable(
            "empty_text",
            "field `text` says nothing",
        ));
    }
    without_nul("text", text)
}

fn conversation(fields: &mut Map<String, Value>) -> Result<Option<ConversationId>, Invalid> {
    let Some(text) = string(fields, "conversation_id")? else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_not_a_uuid| {
        Invalid::unacceptable(
            "bad_conversation_id",
            format!("field `conversation_id` is not a UUID: `{}`", shown(&text)),
        )
    })
}

fn name(fields: &mut Map<String, Value>, field: &'static str) -> Result<Option<String>, Invalid> {
    string(fields, field)?
        .map(|name| checked_name(field, name))
        .transpose()
}

fn checked_name(field: &'static str, name: String) -> Result<String, Invalid> {
    if name.len() > MAX_NAME_BYTES {
        return Err(Invalid::too_long(format!(
            "field `{field}` holds a name of {} bytes; at most {MAX_NAME_BYTES} are taken",
            name.len()
        )));
    }
    if name.trim().is_empty() {
        let detail = format!("field `{field}` holds an empty name; leave it out for the default");
        return Err(Invalid::unacceptable("empty_name", detail));
    }
    without_nul(field, name)
}

fn tools(fields: &mut Map<String, Value>) -> Result<Option<Vec<String>>, Invalid> {
    let list = match fields.remove("tools") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong_type("tools", "a list of names", &other)),
    };
    if list.len() > MAX_TOOLS {
        let detail = format!(
            "field `tools` lists {} tools; at most {MAX_TOOLS}",
            list.len()
        );
        return Err(Invalid::unacceptable("too_many_tools", detail));
    }
    let names = list.into_iter().map(|item| match item {
        Value::String(name) => checked_name("tools", name),
        other => Err(wrong_type("tools", "a list of names", &other)),
    });
    names.collect::<Result<_, _>>().map(Some)
}

fn metadata(fields: &mut Map<String, Value>) -> Result<Extra, Invalid> {
    let object = match fields.remove("metadata") {
        None | Some(Value::Null) => return Ok(Extra::new()),
        Some(Value::Object(object)) => object,
        Some(other) => return Err(wrong_type("metadata", "an object", &other)),
    };
    let size = Value::Object(object.clone()).to_string().len();
    if size > MAX_METADATA_BYTES {
        return Err(Invalid::too_long(format!(
            "field `metadata` has {size} bytes of JSON; at most {MAX_METADATA_BYTES} are taken"
        )));
    }
    Ok(object.into_iter().collect())
}

fn string(fields: &mut Map<String, Value>, field: &'static str) -> Result<Option<String>, Invalid> {
    match fields.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(field, "a string", &other)),
    }
}

/// NUL has no place in text: `PostgreSQL` cannot store it, and terminals hide it.
fn without_nul(field: &'static str, text: String) -> Result<String, Invalid> {
    match text.find('\0') {
        None => Ok(text),
        Some(at) => Err(Invalid::unacceptable(
            "nul_character",
            format!("field `{field}` holds a NUL character at byte {at}; remove it"),
        )),
    }
}

fn listed(what: &str, name: &str, known: Option<&[String]>) -> Result<(), Invalid> {
    let Some(known) = known.filter(|known| !known.iter().any(|other| other == name)) else {
        return Ok(());
    };
    let code = if what == "provider" {
        "unknown_provider"
    } else {
        "unknown_tool"
    };
    let hint = nearest(name, known.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
    let list = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    let detail = format!(
        "no {what} is called `{}`{hint}; known are {list}",
        shown(name)
    );
    Err(Invalid::unacceptable(code, detail))
}

/// The name most like this one, where one is like it at all.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let start: String = name.chars().take(64).collect();
    known
        .into_iter()
        .map(|other| (strsim::jaro_winkler(&start, other), other))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, other)| other)
}

fn wrong_type(field: &str, wanted: &str, found: &Value) -> Invalid {
    let detail = format!("field `{field}` must be {wanted}, not {}", kind_of(found));
    Invalid::unacceptable("wrong_type", detail)
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What a client wrote, short and harmless enough to be shown back.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(80)
        .collect()
}
