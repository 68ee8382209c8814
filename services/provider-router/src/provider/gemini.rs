//! The dialect of Google's Gemini API: `models/{model}:streamGenerateContent`.
//!
//! Facts are from Google's API reference (`generativelanguage` v1beta), its guides to function
//! calling and thought signatures, and the sources of its own client. Gemini is not the chat
//! completions interface under other names: the instructions stand apart from the turns, a tool's
//! result names the tool and is an object, and the model signs what it thought and wants the
//! signatures back.

pub mod body;
mod embed;
pub mod history;
pub mod reader;
pub mod sampling;

use std::sync::Arc;

use nexus_contracts::Extra;
use serde_json::{Map, Value};

use super::dialect::{Call, Dialect, Reader, Vectors};
use super::{ChatRequest, Provider, ProviderFailure, ProviderType, Setup, http};
use reader::GeminiReader;

/// `type: gemini`. The default model is Google's name for its newest small one.
pub const TYPE: ProviderType = ProviderType {
    name: "gemini",
    demo: false,
    local: false,
    default_model: "gemini-flash-latest",
    embedding_model: Some("gemini-embedding-001"),
    base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
    api_key_env: Some("GEMINI_API_KEY"),
    build,
};

fn build(setup: &Setup<'_>) -> Result<Arc<dyn Provider>, ProviderFailure> {
    http::build(setup, Gemini)
}

/// In a message's `extra`: the signatures of the model's thoughts, an object from a call's id to
/// its signature; the one of the text is under an empty id.
const SIGNATURES: &str = "thought_signatures";

/// In a message's `extra`: what the model said that is neither text nor a call, as it came.
const PARTS: &str = "parts";

/// What speaks to Gemini.
///
/// The stream has no mark at its end: it is over when the connection closes, and whole when the
/// model said why it stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gemini;

impl Dialect for Gemini {
    fn call(&self, request: &ChatRequest) -> Result<Call, String> {
        let model = model_path(&request.model)?;
        Ok(Call {
            path: format!("{model}:streamGenerateContent?alt=sse"),
            body: body::body(request)?,
        })
    }

    fn reader(&self, seed: &str) -> Box<dyn Reader> {
        Box::new(GeminiReader::new(seed))
    }

    /// In a header rather than in the query: addresses end up in logs.
    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("x-goog-api-key", key.to_owned())
    }

    fn vectors(&self) -> Option<&dyn Vectors> {
        Some(self)
    }

    fn probe_path(&self) -> &'static str {
        "models?pageSize=1"
    }
}

/// The model in the path. A name that could lead elsewhere is refused rather than encoded: Google
/// has no model of such a name.
fn model_path(model: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let leads_nowhere_else =
        |segment: &str| segment.chars().all(plain) && segment.chars().any(|c| c != '.');
    if !model.split('/').all(leads_nowhere_else) {
        return Err(format!(
            "`{model}` is no model of Gemini: names have letters, digits, `.`, `_`, `-` and `/`"
        ));
    }
    let whole = model.starts_with("models/") || model.starts_with("tunedModels/");
    Ok(if whole {
        model.to_owned()
    } else {
        format!("models/{model}")
    })
}

/// Whether a value says nothing. Google leaves such fields out, and so does what is sent to it.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// Takes a field that has to be an object, in either of the two spellings that Google reads.
fn take_object(extra: &mut Extra, spellings: [&str; 2]) -> Result<Map<String, Value>, String> {
    let mut all = Map::new();
    for name in spellings {
        match extra.remove(name) {
            None => {}
            Some(Value::Object(fields)) => all.extend(fields),
            Some(_) => return Err(format!("`{name}` must be an object")),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
