//! What people ask and what they get: `requests.incoming`, `requests.processed`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chat::{FinishReason, Usage};
use crate::{ConversationId, Event, Extra, RunId, channels};

/// Longest text of one message, in bytes.
pub const MAX_TEXT_BYTES: usize = 256 * 1024;

/// A person or program says something to an agent.
///
/// Answered by exactly one `message.accepted`, and after that by exactly one of
/// `message.completed` and `message.failed`; or at once by `message.failed`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageSubmitted {
    /// What is said; 1 byte to 256 KiB of UTF-8 without NUL.
    pub text: String,
    /// The conversation to go on with; a new one is opened when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// The provider to use for this message, by its name in `providers.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model to use for this message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The tools the agent may use; all enabled ones when absent, none when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// Free for the client; comes back with the answer.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub metadata: Extra,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for MessageSubmitted {
    const TYPE: &'static str = "message.submitted";
    const CHANNEL: &'static str = channels::REQUESTS_INCOMING;
    const VERSION: u32 = 1;
}

/// A person no longer wants the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunCancel {
    /// The run to end.
    pub run_id: RunId,
    /// The conversation it belongs to.
    pub conversation_id: ConversationId,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for RunCancel {
    const TYPE: &'static str = "run.cancel";
    const CHANNEL: &'static str = channels::REQUESTS_INCOMING;
    const VERSION: u32 = 1;
}

/// The message is stored; an answer or a failure will follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageAccepted {
    /// The run that answers it.
    pub run_id: RunId,
    /// The conversation, opened by this message where it named none.
    pub conversation_id: ConversationId,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for MessageAccepted {
    const TYPE: &'static str = "message.accepted";
    const CHANNEL: &'static str = channels::REQUESTS_PROCESSED;
    const VERSION: u32 = 1;
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageCompleted {
    /// The run that answered.
    pub run_id: RunId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The answer.
    pub text: String,
    /// The provider of the last step.
    pub provider: String,
    /// The model of the last step.
    pub model: String,
    /// Tokens of all steps together.
    #[serde(default)]
    pub usage: Usage,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// How many model calls it took.
    #[serde(default)]
    pub steps: u32,
    /// What the client sent along, and what the provider says about the answer (such as
    /// `provider.demo: true`).
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub metadata: Extra,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for MessageCompleted {
    const TYPE: &'static str = "message.completed";
    const CHANNEL: &'static str = channels::REQUESTS_PROCESSED;
    const VERSION: u32 = 1;
}

/// There will be no answer, and why: the fields of RFC 9457 where they have a word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageFailed {
    /// The run that failed; absent when the message never started one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The conversation; absent when the message named none that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// A stable word for programs: `bad_request`, `unknown_conversation`, `unknown_provider`,
    /// `provider_failed`, `step_limit`, `deadline_exceeded`, `cancelled`, `poisoned`.
    pub code: String,
    /// What happened and what to do, for people.
    pub detail: String,
    /// Whether the same message may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// What the client sent along.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub metadata: Extra,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for MessageFailed {
    const TYPE: &'static str = "message.failed";
    const CHANNEL: &'static str = channels::REQUESTS_PROCESSED;
    const VERSION: u32 = 1;
}
