//! Reads the bodies of requests: everything that can be said against one is said here, before
//! anything is stored.

mod document;
mod fields;
mod names;
mod settings;

use nexus_contracts::events::message::MAX_TEXT_BYTES;
use nexus_contracts::events::{Decision, MessageSubmitted};
use nexus_contracts::settings::Settings;
use nexus_contracts::{ConversationId, Extra, RunId};
use serde_json::{Map, Value};

pub use document::{MAX_DOCUMENT_BYTES, MAX_MESSAGES, parse_document};
use fields::{Fields, kind_of};
pub use names::{Known, check_names};
use settings::SETTINGS;
pub use settings::{MAX_APPROVAL_SECONDS, MAX_INSTRUCTIONS_BYTES, MAX_NAMES, MAX_SAMPLES};

/// Longest `metadata`, in bytes of JSON.
pub const MAX_METADATA_BYTES: usize = 16 * 1024;

/// Longest name of a provider, model or tool, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// Longest title of a conversation, in characters.
pub const MAX_TITLE_CHARS: usize = 200;

/// Longest comment on a decision, in bytes.
pub const MAX_COMMENT_BYTES: usize = 4 * 1024;

/// Longest body, in bytes: room for the longest text with a good part of it escaped.
pub const MAX_BODY_BYTES: usize = 4 * MAX_TEXT_BYTES;

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
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
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

/// The body of `POST /v1/conversations/{id}/branch`.
#[derive(Clone, Debug, PartialEq)]
pub struct BranchAt {
    /// The run whose message is replaced.
    pub run_id: RunId,
    /// What is said instead.
    pub text: String,
    /// For this message.
    pub settings: Settings,
    /// Free for the client.
    pub metadata: Extra,
}

/// The body of `PATCH /v1/conversations/{id}`: at least one of the two.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Another title.
    pub title: Option<String>,
    /// Other settings, instead of all it had.
    pub settings: Option<Settings>,
}

/// The body of `POST /v1/approvals/{approval_id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Yes or no.
    pub decision: Decision,
    /// Why.
    pub comment: Option<String>,
    /// The run, for an approval that was asked through another adapter.
    pub run_id: Option<RunId>,
    /// The conversation, likewise.
    pub conversation_id: Option<ConversationId>,
    /// What exactly is decided about, likewise; or to be sure.
    pub arguments_hash: Option<String>,
}

/// Reads and checks the body of `POST /v1/messages`.
///
/// # Errors
/// [`Invalid`] with everything the client needs to mend its request.
pub fn parse(body: &[u8]) -> Result<MessageSubmitted, Invalid> {
    let own = ["text", "conversation_id", "metadata"];
    let mut fields = Fields::of(object(body, "{\"text\": \"…\"}")?, &with_settings(&own))?;
    Ok(MessageSubmitted {
        text: said(&mut fields)?,
        images: Vec::new(),
        conversation_id: fields.id("conversation_id", "bad_conversation_id")?,
        settings: settings::read(&mut fields)?,
        metadata: metadata(&mut fields)?,
        extra: Extra::new(),
    })
}

/// Reads and checks the body of `POST /v1/conversations/{id}/branch`.
///
/// # Errors
/// As [`parse`].
pub fn parse_branch(body: &[u8]) -> Result<BranchAt, Invalid> {
    let example = "{\"run_id\": \"…\", \"text\": \"…\"}";
    let own = ["run_id", "text", "metadata"];
    let mut fields = Fields::of(object(body, example)?, &with_settings(&own))?;
    let run_id = fields.id("run_id", "bad_run_id")?;
    Ok(BranchAt {
        run_id: run_id.ok_or_else(|| fields.missing("run_id"))?,
        text: said(&mut fields)?,
        settings: settings::read(&mut fields)?,
        metadata: metadata(&mut fields)?,
    })
}

/// Reads and checks the body of `PATCH /v1/conversations/{id}`.
///
/// # Errors
/// As [`parse`].
pub fn parse_change(body: &[u8]) -> Result<Change, Invalid> {
    let known = ["title", "settings"];
    let mut fields = Fields::of(object(body, "{\"title\": \"…\"}")?, &known)?;
    let title = fields.string("title")?;
    if let Some(title) = &title {
        document::check_title(title)?;
    }
    let chosen = fields.object("settings", &SETTINGS)?;
    let chosen = chosen.map(|mut fields| settings::read(&mut fields));
    let settings = chosen.transpose()?;
    if title.is_none() && settings.is_none() {
        let detail = "nothing is to be changed; send `title`, `settings` or both";
        return Err(Invalid::unacceptable("missing_field", detail));
    }
    Ok(Change { title, settings })
}

/// Reads and checks the body of `POST /v1/approvals/{approval_id}`.
///
/// # Errors
/// As [`parse`].
pub fn parse_decision(body: &[u8]) -> Result<Decided, Invalid> {
    let known = [
        "decision",
        "comment",
        "run_id",
        "conversation_id",
        "arguments_hash",
    ];
    let mut fields = Fields::of(object(body, "{\"decision\": \"approve\"}")?, &known)?;
    let words = [("approve", Decision::Approve), ("deny", Decision::Deny)];
    let decision = fields.word("decision", &words)?;
    Ok(Decided {
        decision: decision.ok_or_else(|| fields.missing("decision"))?,
        comment: fields.text("comment", MAX_COMMENT_BYTES)?,
        run_id: fields.id("run_id", "bad_run_id")?,
        conversation_id: fields.id("conversation_id", "bad_conversation_id")?,
        arguments_hash: fields.name("arguments_hash")?,
    })
}

fn with_settings<'a>(own: &[&'a str]) -> Vec<&'a str> {
    own.iter().copied().chain(SETTINGS).collect()
}

fn object(body: &[u8], example: &str) -> Result<Map<String, Value>, Invalid> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Invalid::too_long(format!(
            "the body exceeds {MAX_BODY_BYTES} bytes"
        )));
    }
    let text = utf8(body)?;
    if text.trim().is_empty() {
        return Err(Invalid::malformed(format!(
            "the body is empty; send {example}"
        )));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(Invalid::malformed(format!(
            "the body is {}; send an object such as {example}",
            kind_of(&other)
        ))),
        Err(error) => Err(Invalid::malformed(format!("the body is not JSON: {error}"))),
    }
}

fn utf8(body: &[u8]) -> Result<&str, Invalid> {
    std::str::from_utf8(body).map_err(|error| {
        Invalid::malformed(format!(
            "the body is not UTF-8 from byte {} on",
            error.valid_up_to()
        ))
    })
}

fn said(fields: &mut Fields) -> Result<String, Invalid> {
    let text = fields.text("text", MAX_TEXT_BYTES)?;
    text.ok_or_else(|| fields.missing("text"))
}

fn metadata(fields: &mut Fields) -> Result<Extra, Invalid> {
    let Some(object) = fields.map("metadata")? else {
        return Ok(Extra::new());
    };
    let size = Value::Object(object.clone()).to_string().len();
    if size > MAX_METADATA_BYTES {
        return Err(Invalid::too_long(format!(
            "field `metadata` has {size} bytes of JSON; at most {MAX_METADATA_BYTES} are taken"
        )));
    }
    Ok(object.into_iter().collect())
}

/// NUL has no place in text: `PostgreSQL` cannot store it, and terminals hide it.
fn without_nul(field: &str, text: &str) -> Result<(), Invalid> {
    match text.find('\0') {
        None => Ok(()),
        Some(at) => Err(Invalid::unacceptable(
            "nul_character",
            format!("field `{field}` holds a NUL character at byte {at}; remove it"),
        )),
    }
}
