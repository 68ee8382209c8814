//! The body of `POST /v1/conversations/import`.

use nexus_contracts::conversation::{ConversationDocument, FORMAT};
use nexus_contracts::events::message::MAX_TEXT_BYTES;
use serde_path_to_error::Segment;

use super::fields::shown;
use super::{Invalid, MAX_TITLE_CHARS, utf8, without_nul};

/// Longest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 8 * 1024 * 1024;

/// Most messages of a document.
pub const MAX_MESSAGES: usize = 10_000;

/// The version of documents that is understood.
const VERSION: u32 = 1;

/// Reads and checks a document.
///
/// # Errors
/// [`Invalid`] that names the field and says what is wrong with it.
pub fn parse_document(body: &[u8]) -> Result<ConversationDocument, Invalid> {
    if body.len() > MAX_DOCUMENT_BYTES {
        return Err(Invalid::too_long(format!(
            "the document exceeds {MAX_DOCUMENT_BYTES} bytes"
        )));
    }
    let text = utf8(body)?;
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        return Err(Invalid::malformed(format!("the body is not JSON: {error}")));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let document: ConversationDocument =
        serde_path_to_error::deserialize(&mut reader).map_err(|error| mistyped(&error))?;
    check(&document)?;
    Ok(document)
}

fn mistyped(error: &serde_path_to_error::Error<serde_json::Error>) -> Invalid {
    let text = error.inner().to_string();
    // Where in the text it stands says less than where in the document.
    let reason = text
        .split_once(" at line ")
        .map_or(text.as_str(), |(reason, _)| reason);
    let at_the_top = matches!(error.path().iter().next(), None | Some(Segment::Unknown));
    let detail = if at_the_top {
        format!("the document does not read: {}", shown(reason))
    } else {
        format!(
            "field `{}`: {}",
            shown(&error.path().to_string()),
            shown(reason)
        )
    };
    Invalid::unacceptable("wrong_type", detail)
}

fn check(document: &ConversationDocument) -> Result<(), Invalid> {
    let bad = |code, detail: String| Err(Invalid::unacceptable(code, detail));
    if document.format != FORMAT {
        let format = shown(&document.format);
        let detail = format!("field `format` must be `{FORMAT}`, not `{format}`");
        return bad("unknown_format", detail);
    }
    if document.version != VERSION {
        let version = document.version;
        let detail = format!("field `version` must be {VERSION}, not {version}");
        return bad("unknown_format", detail);
    }
    if let Some(title) = &document.title {
        check_title(title)?;
    }
    if document.messages.is_empty() {
        return bad("empty_text", "field `messages` says nothing".to_owned());
    }
    if document.messages.len() > MAX_MESSAGES {
        let detail = format!(
            "field `messages` has {}; at most {MAX_MESSAGES} are taken",
            document.messages.len()
        );
        return bad("too_many_messages", detail);
    }
    for (at, message) in document.messages.iter().enumerate() {
        let name = format!("messages[{at}].text");
        if message.text.len() > MAX_TEXT_BYTES {
            let bytes = message.text.len();
            let detail = format!("field `{name}` has {bytes} bytes; at most {MAX_TEXT_BYTES}");
            return Err(Invalid::too_long(detail));
        }
        without_nul(&name, &message.text)?;
    }
    Ok(())
}

/// A title has 1 to 200 characters.
pub(super) fn check_title(title: &str) -> Result<(), Invalid> {
    let letters = title.chars().count();
    if title.trim().is_empty() || letters > MAX_TITLE_CHARS {
        let detail =
            format!("field `title` must be 1 to {MAX_TITLE_CHARS} characters, not {letters}");
        return Err(Invalid::unacceptable("bad_title", detail));
    }
    without_nul("title", title)
}
