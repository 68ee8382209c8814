//! What is done with conversations as a whole, as people and programs get to see it.

use nexus_contracts::events::MessageFailed;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ChosenSettings, RunError};
use crate::answer::Ending;
use crate::messages::Known;

/// How far a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandStatus {
    /// Stored; the orchestrator has not answered.
    Queued,
    /// Done.
    Accepted,
    /// Not done; `error` says why.
    Failed,
}

/// A command and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandView {
    /// Names it in `/v1/commands/{command_id}`.
    pub command_id: Uuid,
    /// What was asked: the event's type, such as `conversation.rename`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The conversation it is about, or opened.
    pub conversation_id: Uuid,
    /// How far it is.
    pub status: CommandStatus,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
}

impl CommandView {
    /// What is known of a command.
    #[must_use]
    pub fn of(known: &Known) -> Self {
        let failed = |payload| serde_json::from_slice::<MessageFailed>(payload).ok();
        let (status, error) = match &known.last {
            None => (CommandStatus::Queued, None),
            Some(last) if last.ending == Ending::Failed => (
                CommandStatus::Failed,
                failed(&last.payload).map(RunError::from),
            ),
            Some(_) => (CommandStatus::Accepted, None),
        };
        Self {
            command_id: known.submission.run.0,
            event_type: known.submission.kind.event_type().to_owned(),
            conversation_id: known.submission.conversation.0,
            status,
            error,
        }
    }
}

/// The body of `PATCH /v1/conversations/{id}`: at least one of the two. Described here, read in
/// [`crate::request`].
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "title": "Arithmetic" }))]
pub struct ConversationChange {
    /// Another title; 1 to 200 characters.
    pub title: Option<String>,
    /// Other settings, instead of all it had.
    pub settings: Option<ChosenSettings>,
}

/// The body of `POST /v1/conversations/{id}/branch`. Described here, read in [`crate::request`].
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NewBranch {
    /// The run whose message is replaced.
    pub run_id: Uuid,
    /// What is said instead; 1 byte to 256 KiB of UTF-8 without NUL.
    pub text: String,
    /// What to choose for this message.
    #[serde(flatten)]
    pub settings: ChosenSettings,
    /// Free for the client, at most 16 KiB; comes back with the answer.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
}

/// A conversation as export gives it. Described here, read in [`crate::request`].
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ConversationDocument, example = json!({
    "format": "nexus.conversation", "version": 1,
    "messages": [{ "role": "user", "text": "What is 37 * 43?" }]
}))]
pub struct Document {
    /// Always `nexus.conversation`.
    pub format: String,
    /// Version of this format: 1.
    pub version: u32,
    /// Its title; 1 to 200 characters.
    pub title: Option<String>,
    /// When it began; RFC 3339.
    pub created_at: Option<String>,
    /// What was said, oldest first; 1 to 10,000 messages.
    pub messages: Vec<DocumentMessage>,
}

/// Something that was said.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DocumentMessage {
    /// `user` or `assistant`.
    pub role: String,
    /// What; at most 256 KiB.
    pub text: String,
    /// When; RFC 3339.
    pub at: Option<String>,
    /// The provider that said it.
    pub provider: Option<String>,
    /// The model that said it.
    pub model: Option<String>,
}
