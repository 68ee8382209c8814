//! An answer as a model reads it.

use encoding_rs::Encoding;
use reqwest::header::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use crate::fetch::{Answer, ContentType};
use crate::text::{head, line, visible};

/// Longest text of an answer, in bytes. JSON is whole or is text.
const MAX_TEXT_BYTES: usize = 60_000;
/// Longest value of a header, in characters.
const HEADER_CHARS: usize = 500;

/// Headers a model gets to see: none of them opens anything.
const SHOWN: [&str; 12] = [
    "allow",
    "content-language",
    "content-length",
    "content-range",
    "etag",
    "last-modified",
    "link",
    "location",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
];

/// An answer. Its words are those of strangers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HttpResponse {
    /// Where it came from in the end.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// Some of the headers.
    pub headers: Vec<(String, String)>,
    /// The media type; empty when none was given.
    pub content_type: String,
    /// What came.
    pub body: Body,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json {
        /// The value.
        value: Value,
    },
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Whether there was more.
        truncated: bool,
    },
    /// Something that is no text, and is left out.
    Binary {
        /// How much it was.
        bytes: usize,
    },
}

impl HttpResponse {
    pub(super) fn of(answer: &Answer) -> Self {
        let content_type = ContentType::of(&answer.headers);
        Self {
            url: answer.url.to_string(),
            status: answer.status,
            headers: shown(&answer.headers),
            body: body(&answer.body, &content_type),
            content_type: line(content_type.essence(), 100),
        }
    }
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let value = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name.to_owned(), line(value, HEADER_CHARS)))
    };
    SHOWN.iter().filter_map(|name| value(name)).collect()
}

fn body(bytes: &[u8], content_type: &ContentType) -> Body {
    if bytes.is_empty() {
        return Body::Empty;
    }
    let essence = content_type.essence();
    let is_json = essence == "application/json" || essence.ends_with("+json");
    if is_json
        && bytes.len() <= MAX_TEXT_BYTES
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return Body::Json { value };
    }
    let label = content_type.charset().unwrap_or("utf-8");
    let encoding = Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::UTF_8);
    let (text, _, damaged) = encoding.decode(bytes);
    if text.contains('\0') || (damaged && !essence.starts_with("text/")) {
        return Body::Binary { bytes: bytes.len() };
    }
    let text = visible(&text);
    let kept = head(&text, MAX_TEXT_BYTES);
    Body::Text {
        truncated: kept.len() < text.len(),
        text: kept.to_owned(),
    }
}
