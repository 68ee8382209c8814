//! A conversation as a document: what export gives and import takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Extra, Timestamp};

/// The value of [`ConversationDocument::format`].
pub const FORMAT: &str = "nexus.conversation";

/// A conversation, whole and without ids: it can be taken to another organisation or deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationDocument {
    /// Always `nexus.conversation`.
    pub format: String,
    /// Version of this format: 1.
    pub version: u32,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// What was said, oldest first.
    pub messages: Vec<SaidMessage>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Who said something in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// A person.
    User,
    /// The agent.
    Assistant,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SaidMessage {
    /// Who said it.
    pub role: Speaker,
    /// What.
    pub text: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The provider that said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model that said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
