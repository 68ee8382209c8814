//! An answer as it is kept, and which ones are.

use bytes::Bytes;
use nexus_contracts::chat::{ChatMessage, FinishReason, Usage};
use nexus_contracts::events::InferenceCompleted;
use nexus_contracts::{Extra, Timestamp};
use nexus_store::ledger::{MAX_RESULT_BYTES, Recalled};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::plan::{Candidate, Plan};
use crate::textual;

/// What an answer says of itself that was not made for its question; the name of a field of its
/// `metadata`.
pub const NOTE: &str = "cache";

/// An answer that is kept. When it was given is known to whoever keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The answer.
    pub message: ChatMessage,
    /// The provider that gave it.
    pub provider: String,
    /// The model that did.
    pub model: String,
    /// What the provider said about it.
    #[serde(default)]
    pub metadata: Extra,
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It calls tools, or has no text: what it asks for depends on the moment.
    NoText,
    /// It did not come to its own end.
    Cut,
    /// Something in it looks like a call of a tool and was not read as one, or was not at first.
    Unread,
    /// Several models said parts of it.
    Seams,
    /// The model refused.
    Refusal,
    /// A person gave it, for this once.
    Person,
    /// Somebody stood in for the one who is asked first, and would for as long as it is kept.
    StandIn,
    /// It was itself found here.
    Found,
    /// It is too long.
    Large,
}

/// How an answer was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The question was the same, to the letter.
    Exact,
    /// The last message was this near.
    Semantic(f32),
}

impl Kept {
    /// What is kept of this answer by somebody of this plan, who was asked for `model`.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn of(completed: &InferenceCompleted, model: &str, plan: &Plan) -> Result<Self, Unfit> {
        let message = &completed.message;
        if !message.tool_calls.is_empty() || message.content.trim().is_empty() {
            return Err(Unfit::NoText);
        }
        if completed.finish_reason != FinishReason::Stop {
            return Err(Unfit::Cut);
        }
        if completed.metadata.contains_key(textual::NOTE) {
            return Err(Unfit::Unread);
        }
        if completed.metadata.contains_key("seams") {
            return Err(Unfit::Seams);
        }
        if completed.metadata.contains_key(NOTE) {
            return Err(Unfit::Found);
        }
        let refusal = message.extra.get("refusal");
        if refusal.is_some_and(|refusal| !refusal.is_null()) {
            return Err(Unfit::Refusal);
        }
        let by =
            |one: &&Candidate| *one.configured.name == *completed.provider && *one.model == *model;
        let Some(first) = plan.candidates.first().filter(by) else {
            return Err(Unfit::StandIn);
        };
        if first.configured.kind.is_person() {
            return Err(Unfit::Person);
        }
        Ok(Self {
            message: message.clone(),
            provider: completed.provider.clone(),
            model: completed.model.clone(),
            metadata: completed.metadata.clone(),
        })
    }

    /// As bytes.
    ///
    /// # Errors
    /// [`Unfit::Large`].
    pub fn encode(&self) -> Result<Bytes, Unfit> {
        // Nothing in it is without a name in JSON.
        let bytes = serde_json::to_vec(self).map_err(|_no_json| Unfit::Large)?;
        if bytes.len() > MAX_RESULT_BYTES {
            return Err(Unfit::Large);
        }
        Ok(bytes.into())
    }

    /// From bytes; `None` for those of another version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The answer once more, for nothing: it says since when it is kept and how it was found.
    #[must_use]
    pub fn again(self, kind: Kind, age_ms: i64) -> InferenceCompleted {
        let mut metadata = self.metadata;
        metadata.insert(NOTE.to_owned(), note(kind, age_ms));
        InferenceCompleted {
            message: self.message,
            finish_reason: FinishReason::Stop,
            usage: Usage {
                cost_microusd: Some(0),
                ..Usage::default()
            },
            provider: self.provider,
            model: self.model,
            duration_ms: 0,
            metadata,
            extra: Extra::new(),
        }
    }
}

/// What was recalled, once more, at this time; `None` for what another version kept.
#[must_use]
pub fn again(recalled: &Recalled, kind: Kind, now: Timestamp) -> Option<InferenceCompleted> {
    let age = now.as_millis() - recalled.since.as_millis();
    Some(Kept::decode(&recalled.bytes)?.again(kind, age))
}

fn note(kind: Kind, age_ms: i64) -> Value {
    let age = age_ms.max(0) / 1000;
    match kind {
        Kind::Exact => json!({"kind": "exact", "age_seconds": age}),
        Kind::Semantic(similarity) => {
            // As people read it.
            let similarity = (f64::from(similarity) * 1000.0).round() / 1000.0;
            json!({"kind": "semantic", "age_seconds": age, "similarity": similarity})
        }
    }
}

#[cfg(test)]
mod tests;
