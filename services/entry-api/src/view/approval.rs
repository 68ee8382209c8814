//! Tool calls that wait for a person, as people and programs get to see them.

use nexus_contracts::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::messages::Approval;

/// A tool call that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalView {
    /// Names it in every other call.
    pub approval_id: String,
    /// The run that waits.
    pub run_id: Uuid,
    /// Its conversation.
    pub conversation_id: Uuid,
    /// The model's name for the call.
    pub call_id: String,
    /// The tool.
    pub tool: String,
    /// The arguments: JSON text as the model wrote it.
    pub arguments: String,
    /// What is approved is this call with exactly these arguments.
    pub arguments_hash: String,
    /// Why a person is asked.
    pub reason: String,
    /// When it was asked; RFC 3339.
    pub asked_at: String,
    /// After this moment the call counts as denied; RFC 3339.
    pub expires_at: String,
}

impl ApprovalView {
    /// Of this approval.
    #[must_use]
    pub fn of(approval: &Approval) -> Self {
        let request = approval.request.clone();
        Self {
            approval_id: request.approval_id.to_string(),
            run_id: request.run_id.0,
            conversation_id: request.conversation_id.0,
            call_id: request.call_id,
            tool: request.tool,
            arguments: request.arguments,
            arguments_hash: request.arguments_hash,
            reason: request.reason,
            asked_at: Timestamp::to_string(&approval.asked_at),
            expires_at: Timestamp::to_string(&request.expires_at),
        }
    }
}

/// A page of what waits for a decision, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalList {
    /// The tool calls.
    pub approvals: Vec<ApprovalView>,
    /// Pass it as `after` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The body of `POST /v1/approvals/{approval_id}`. Described here, read in [`crate::request`].
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "decision": "approve" }))]
pub struct NewDecision {
    /// `approve` or `deny`.
    pub decision: String,
    /// Why, at most 4 KiB; a denied call's comment is told to the model.
    pub comment: Option<String>,
    /// The run, where the approval was asked through another adapter.
    pub run_id: Option<Uuid>,
    /// The conversation, likewise.
    pub conversation_id: Option<Uuid>,
    /// The hash of the arguments, likewise; or to be sure what is decided about.
    pub arguments_hash: Option<String>,
}
