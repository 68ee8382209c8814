//! What a message says about itself: tenant, place in a run, deadline.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ConversationId, MessageId, OrgId, RunId, Timestamp, UserId};

/// Fields this version does not know. They survive a round trip.
pub type Extra = BTreeMap<String, Value>;

/// Where a message belongs. Travels as JSON text in the flat field `metadata`.
///
/// Every field is optional because a client may leave all of it out; inside Nexus `org_id` is
/// always set, and what an external client claims about itself is replaced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// The tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<OrgId>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The conversation the message belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// The run the message belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The step of the run: how many model calls came before, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// How often this command was issued anew, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// After this moment the command is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The adapter or client the run came from; its answers go to `requests.processed.<adapter>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The message that caused this one: for a result, the id of its command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<MessageId>,
    /// The message this one repeats on purpose (replay, redrive).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<MessageId>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
