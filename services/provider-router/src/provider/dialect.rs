//! How kinds of providers are spoken to, apart from the network between.

use serde_json::Value;

use super::{ChatRequest, EmbedRequest, Embedded};
use crate::assembler::{Answer, WireError};

/// The language of a kind of provider. Pure: data in, data out.
pub trait Dialect: Send + Sync {
    /// The request for one answer. Everything of `request` that the interface can carry is in it.
    ///
    /// # Errors
    /// Words for a person, when the interface cannot carry it; nothing was sent then.
    fn call(&self, request: &ChatRequest) -> Result<Call, String>;

    /// What reads the answer; `seed` names tool calls to which the provider gives no id.
    fn reader(&self, seed: &str) -> Box<dyn Reader>;

    /// The header that carries the key, and its value.
    fn key_header(&self, key: &str) -> (&'static str, String);

    /// Headers sent with every request, such as the version of the interface.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// How it is asked for vectors; `None` where it makes none.
    fn vectors(&self) -> Option<&dyn Vectors> {
        None
    }

    /// Below the base URL: something cheap to get that needs the key.
    fn probe_path(&self) -> &'static str;
}

/// The part of a language in which texts become vectors.
pub trait Vectors: Send + Sync {
    /// Most texts of one request; at least 1. More of them are sent one after another.
    fn at_once(&self) -> usize;

    /// About how many tokens the texts of one request may have; a text that has more goes alone.
    fn tokens_at_once(&self) -> u64 {
        u64::MAX
    }

    /// The request for the vectors of these texts of `request`.
    ///
    /// # Errors
    /// Words for a person, when the interface cannot carry it; nothing was sent then.
    fn call(&self, request: &EmbedRequest, texts: &[String]) -> Result<Call, String>;

    /// Reads an answer; whether it has the right vectors is looked at by the caller.
    ///
    /// # Errors
    /// [`WireError`].
    fn read(&self, body: &[u8]) -> Result<Embedded, WireError>;
}

/// A POST.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Below the base URL, without a slash at its beginning; may carry a query.
    pub path: String,
    /// The JSON to send.
    pub body: Value,
}

/// Puts the events of one stream, or one whole body, together into one answer.
pub trait Reader: Send + std::fmt::Debug {
    /// Takes the data of one event, or the whole body of a server that does not stream; returns the
    /// text it adds.
    ///
    /// # Errors
    /// [`WireError`]; the answer is lost then.
    fn push(&mut self, data: &str) -> Result<String, WireError>;

    /// Whether the provider said that nothing follows.
    fn is_done(&self) -> bool;

    /// Whether the model was done; token counts may still follow.
    fn is_finished(&self) -> bool;

    /// The stream ended: the answer.
    ///
    /// # Errors
    /// [`WireError::Unfinished`] when it ended too early, [`WireError::NamelessCall`].
    fn finish(self: Box<Self>) -> Result<Answer, WireError>;
}
