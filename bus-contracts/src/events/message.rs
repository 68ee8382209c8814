//! What people ask and what they get: `requests.incoming`, `requests.processed`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chat::{FinishReason, Image, Usage};
use crate::settings::Settings;
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
    /// Pictures that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// The conversation to go on with; a new one is opened when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// For this message: `provider`, `model`, `tools` and the rest of the settings.
    #[serde(flatten)]
    pub settings: Settings,
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

/// What was asked on `requests.incoming` is stored. After `message.submitted` and
/// `conversation.branch` an answer or a failure follows; anything else is done with this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageAccepted {
    /// The run that answers it, or the one it was about.
    pub run_id: RunId,
    /// The conversation, opened by this message where it named none, or the new one.
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
    /// How many model calls it took, one after another.
    #[serde(default)]
    pub steps: u32,
    /// How sure the model was, where several answers were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// What the person was asked for, where the answer is a question of Nexus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clarification: Option<Clarification>,
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

/// The outcome of a vote among several answers (self-consistency, Wang et al. 2022).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Agreement {
    /// How many answers were drawn.
    pub samples: u8,
    /// How many said the same as the one that was chosen. `1 - agreeing / samples` is how uncertain
    /// the answer is.
    pub agreeing: u8,
}

/// A tool call lacked what the tool requires, so the person is asked instead of guessing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clarification {
    /// The tool.
    pub tool: String,
    /// The argument that is missing.
    pub argument: String,
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
    /// `unknown_run`, `unknown_approval`, `arguments_changed`, `conversation_busy`,
    /// `provider_failed`, `step_limit`, `token_limit`, `cost_limit`, `deadline_exceeded`,
    /// `interrupted`, `cancelled`, `poisoned`.
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
