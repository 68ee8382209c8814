//! Approvals of tool calls: `requests.processed`, `requests.incoming`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ConversationId, Event, Extra, MessageId, RunId, Timestamp, channels};

/// A run waits until a person approves a tool call, or until `expires_at`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRequested {
    /// What is to be decided: the id of the tool call's command.
    pub approval_id: MessageId,
    /// The run that waits.
    pub run_id: RunId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// The model's name for the call.
    pub call_id: String,
    /// The tool.
    pub tool: String,
    /// The arguments, JSON text as the model wrote it.
    pub arguments: String,
    /// See [`arguments_hash`]: what is approved is this call with exactly these arguments.
    pub arguments_hash: String,
    /// Why a person is asked.
    pub reason: String,
    /// After this moment the call counts as denied.
    pub expires_at: Timestamp,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for ApprovalRequested {
    const TYPE: &'static str = "approval.requested";
    const CHANNEL: &'static str = channels::REQUESTS_PROCESSED;
    const VERSION: u32 = 1;
}

/// What a person decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The call is made.
    Approve,
    /// The call is not made, and the model is told.
    Deny,
}

/// A person decided about a tool call. May come from any adapter or client of the same person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDecided {
    /// As in `approval.requested`.
    pub approval_id: MessageId,
    /// As in `approval.requested`.
    pub run_id: RunId,
    /// As in `approval.requested`.
    pub conversation_id: ConversationId,
    /// As in `approval.requested`; another value is refused (`arguments_changed`).
    pub arguments_hash: String,
    /// Yes or no.
    pub decision: Decision,
    /// Why; a denied call's comment is told to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for ApprovalDecided {
    const TYPE: &'static str = "approval.decided";
    const CHANNEL: &'static str = channels::REQUESTS_INCOMING;
    const VERSION: u32 = 1;
}

/// SHA-256 of a tool's name and the text of its arguments, in hexadecimal.
#[must_use]
pub fn arguments_hash(tool: &str, arguments: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update((tool.len() as u64).to_be_bytes());
    hasher.update(tool);
    hasher.update(arguments);
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
