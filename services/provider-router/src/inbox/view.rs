//! Questions as people and programs get to see them.

use nexus_contracts::chat::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::provider::human::{HumanAnswer, InboxEntry, Line};

/// What waits for a person, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxList {
    /// The questions.
    pub questions: Vec<InboxItem>,
}

/// A question in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxItem {
    /// Names it in every other call.
    pub id: String,
    /// The provider that a person answers for.
    pub provider: String,
    /// When a person was first asked; RFC 3339.
    pub asked_at: String,
    /// Nobody waits for an answer after this moment; RFC 3339.
    pub deadline: String,
    /// What is to be answered, at most 4,000 characters.
    pub question: String,
}

/// A question with the end of its conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxQuestion {
    /// As in the list.
    #[serde(flatten)]
    pub item: InboxItem,
    /// What was said, oldest first, with the question in it; at most the last 20 messages.
    pub conversation: Vec<InboxMessage>,
    /// What a person answered; shown until the deadline, without the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<InboxAnswer>,
    /// Why a person would not answer, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<String>,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxMessage {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// The text, at most 4,000 characters.
    pub content: String,
}

/// What a person answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxAnswer {
    /// The answer.
    pub text: String,
    /// Who says that they answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When; RFC 3339.
    pub at: String,
}

/// The body of `POST /v1/inbox/{id}/answer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInboxAnswer {
    /// The answer, 1 byte to 64 KiB.
    pub text: String,
    /// Who answers, at most 200 characters; shown with the answer, and not checked.
    #[serde(default)]
    pub by: Option<String>,
}

/// The body of `POST /v1/inbox/{id}/decline`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInboxRefusal {
    /// Why, 1 byte to 4 KiB; whoever asked is told its beginning.
    pub reason: String,
}

impl InboxItem {
    /// Of this entry.
    #[must_use]
    pub fn of(entry: &InboxEntry) -> Self {
        Self {
            id: entry.id.clone(),
            provider: entry.provider.clone(),
            asked_at: entry.asked_at.to_string(),
            deadline: entry.deadline.to_string(),
            question: entry.question.clone(),
        }
    }
}

impl InboxQuestion {
    /// Of this entry.
    #[must_use]
    pub fn of(entry: &InboxEntry) -> Self {
        Self {
            item: InboxItem::of(entry),
            conversation: entry.conversation.iter().map(InboxMessage::of).collect(),
            answer: entry.answer.as_ref().map(InboxAnswer::of),
            declined: entry.declined.clone(),
        }
    }
}

impl InboxMessage {
    fn of(line: &Line) -> Self {
        let role = match line.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        Self {
            role: role.to_owned(),
            content: line.content.clone(),
        }
    }
}

impl InboxAnswer {
    fn of(answer: &HumanAnswer) -> Self {
        Self {
            text: answer.text.clone(),
            by: answer.by.clone(),
            at: answer.at.to_string(),
        }
    }
}
