//! Embeddings: `inference.request`, `embedding.response`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chat::Usage;
use crate::settings::Privacy;
use crate::{Event, Extra, channels};

/// Command: turn texts into vectors.
///
/// Whoever asks listens for the answer live, and asks again under the same id when none comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingRequested {
    /// The texts; at least one.
    pub input: Vec<String>,
    /// The provider or route, by name; the router's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model; the provider's model for embeddings when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many numbers each vector has, where the model leaves a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// Where the texts may go.
    #[serde(default, skip_serializing_if = "Privacy::is_open")]
    pub privacy: Privacy,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for EmbeddingRequested {
    const TYPE: &'static str = "embedding.requested";
    const CHANNEL: &'static str = channels::INFERENCE_REQUEST;
    const VERSION: u32 = 1;
}

/// Result: one vector for each text, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingCompleted {
    /// The vectors.
    pub embeddings: Vec<Vec<f32>>,
    /// Tokens used.
    #[serde(default)]
    pub usage: Usage,
    /// The provider that answered.
    pub provider: String,
    /// The model that answered.
    pub model: String,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for EmbeddingCompleted {
    const TYPE: &'static str = "embedding.completed";
    const CHANNEL: &'static str = channels::EMBEDDING_RESPONSE;
    const VERSION: u32 = 1;
}

/// Result: there are no vectors, and why; as `inference.failed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingFailed {
    /// A stable word, one of those of `inference.failed`.
    pub code: String,
    /// What happened and what to do.
    pub detail: String,
    /// Whether asking again may help.
    #[serde(default)]
    pub retryable: bool,
    /// The provider that failed, if one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for EmbeddingFailed {
    const TYPE: &'static str = "embedding.failed";
    const CHANNEL: &'static str = channels::EMBEDDING_RESPONSE;
    const VERSION: u32 = 1;
}
