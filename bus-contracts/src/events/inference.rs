//! Calls of a model: `inference.request`, `inference.response`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chat::{ChatMessage, FinishReason, ToolSpec, Usage};
use crate::settings::{Caching, Privacy};
use crate::{Event, Extra, channels};

/// Sampling of a model call; what is absent is left to the provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelParameters {
    /// Randomness, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Most tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ModelParameters {
    /// These laid over more general ones.
    #[must_use]
    pub fn over(self, general: &Self) -> Self {
        let mut extra = general.extra.clone();
        extra.extend(self.extra);
        Self {
            temperature: self.temperature.or(general.temperature),
            max_tokens: self.max_tokens.or(general.max_tokens),
            extra,
        }
    }
}

/// What an answer of a model is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To answer a person.
    #[default]
    Answer,
    /// To stand for older messages of a conversation.
    Summary,
}

impl Purpose {
    /// Whether it is the usual one.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Answer)
    }
}

/// Command: have a model answer.
///
/// The envelope's id is the command's id; the result names it in `metadata.causation_id`.
/// Text streams on the run's live stream meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InferenceRequested {
    /// What was said, oldest first.
    pub messages: Vec<ChatMessage>,
    /// The tools the model may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// The provider or route, by name; the router's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Sampling.
    #[serde(default)]
    pub parameters: ModelParameters,
    /// Whether nothing of the answer goes on the run's live stream: it is one of several, or not
    /// for people.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
    /// What the answer is for.
    #[serde(default, skip_serializing_if = "Purpose::is_answer")]
    pub purpose: Purpose,
    /// Where what was said may go.
    #[serde(default, skip_serializing_if = "Privacy::is_open")]
    pub privacy: Privacy,
    /// Whether an earlier answer to the same question will do.
    #[serde(default, skip_serializing_if = "Caching::is_off")]
    pub cache: Caching,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for InferenceRequested {
    const TYPE: &'static str = "inference.requested";
    const CHANNEL: &'static str = channels::INFERENCE_REQUEST;
    const VERSION: u32 = 1;
}

/// Result: what the model said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InferenceCompleted {
    /// The answer, with the tools it asks for.
    pub message: ChatMessage,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// Tokens used.
    #[serde(default)]
    pub usage: Usage,
    /// The provider that answered.
    pub provider: String,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// From the first byte sent to the last received, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// What the provider says about the answer, such as `provider.demo: true`.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub metadata: Extra,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for InferenceCompleted {
    const TYPE: &'static str = "inference.completed";
    const CHANNEL: &'static str = channels::INFERENCE_RESPONSE;
    const VERSION: u32 = 1;
}

/// Result: no model answered, after every retry the router makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InferenceFailed {
    /// A stable word: `unknown_provider`, `unknown_model`, `missing_key`, `unauthorized`,
    /// `rate_limited`, `provider_failed`, `provider_unreachable`, `deadline_exceeded`, `cancelled`,
    /// `bad_request`, `unsupported`, `privacy_refused`, `poisoned`.
    pub code: String,
    /// What happened and what to do.
    pub detail: String,
    /// Whether asking again later may help.
    #[serde(default)]
    pub retryable: bool,
    /// The provider that failed, where one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for InferenceFailed {
    const TYPE: &'static str = "inference.failed";
    const CHANNEL: &'static str = channels::INFERENCE_RESPONSE;
    const VERSION: u32 = 1;
}
