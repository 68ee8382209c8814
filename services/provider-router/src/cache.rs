//! Answers that will do again: when they are kept, how they are found, and when not.
//!
//! `exact` finds the answer to the same question, to the letter: the [`key`] has everything that shapes
//! an answer. `semantic` also finds the answer to a last message that means the same: by its vector, in
//! the [`index`], where the [`guard`] sees no difference. Pure: vectors, time and chance come in. What
//! asks and keeps is in [`crate::handler`].

pub mod guard;
pub mod index;
pub mod kept;
pub mod key;
pub mod sought;

use std::time::Duration;

use nexus_contracts::chat::{ChatMessage, Role};
use serde::Deserialize;

/// How answers are kept and found: section `cache` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// How long an answer will do.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub ttl: Duration,
    /// How long an answer is looked for before the model is asked.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub patience: Duration,
    /// The provider or route that turns messages into vectors; whoever is asked when absent.
    pub embedder: Option<String>,
    /// Its model; the usual one for vectors when absent.
    pub embedding_model: Option<String>,
    /// How near two messages must be, as the cosine of their vectors.
    pub similarity: f32,
    /// Most vectors in memory.
    pub vectors: usize,
}

/// Longest text that may be said otherwise, in bytes: what is longer is hardly said twice, and is long
/// to compare.
const LONGEST: usize = 4096;

/// The text that may be said otherwise: what the person said last, if it is nothing but text and not
/// long.
#[must_use]
pub fn last_text(messages: &[ChatMessage]) -> Option<&str> {
    let last = messages.last()?;
    let text = last.role == Role::User
        && last.images.is_empty()
        && last.tool_calls.is_empty()
        && last.tool_call_id.is_none()
        && last.extra.is_empty()
        && last.content.len() <= LONGEST;
    let said = text.then_some(last.content.as_str())?;
    (!said.trim().is_empty()).then_some(said)
}

#[cfg(test)]
mod measured;
