//! What is done with conversations as a whole, and what became of them.
//!
//! Commands travel on `requests.incoming` and are answered by `message.accepted` or
//! `message.failed`. Facts travel on `conversations` and are repeated until everybody who stores
//! content has confirmed them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conversation::ConversationDocument;
use crate::settings::Settings;
use crate::{ConversationId, Event, Extra, RunId, channels};

macro_rules! event {
    ($name:ident, $event_type:literal, $channel:ident) => {
        impl Event for $name {
            const TYPE: &'static str = $event_type;
            const CHANNEL: &'static str = channels::$channel;
            const VERSION: u32 = 1;
        }
    };
}

/// Give a conversation another title.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationRename {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The title; 1 to 200 characters.
    pub title: String,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
event!(ConversationRename, "conversation.rename", REQUESTS_INCOMING);

/// Replace the settings of a conversation; they hold for its runs that start after this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationConfigure {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Its settings.
    pub settings: Settings,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
event!(
    ConversationConfigure,
    "conversation.configure",
    REQUESTS_INCOMING
);

/// Go on from an earlier point with another message: a new conversation that remembers everything
/// said before the message that started `run_id`, and is asked `text` instead. The old one stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationBranch {
    /// The conversation to branch from.
    pub conversation_id: ConversationId,
    /// The run whose message is replaced.
    pub run_id: RunId,
    /// What is said instead; as in `message.submitted`.
    pub text: String,
    /// For this message.
    #[serde(flatten)]
    pub settings: Settings,
    /// Free for the client; comes back with the answer.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub metadata: Extra,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
event!(ConversationBranch, "conversation.branch", REQUESTS_INCOMING);

/// Erase a conversation everywhere. What is going on in it ends (`cancelled`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationDelete {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
event!(ConversationDelete, "conversation.delete", REQUESTS_INCOMING);

/// Open a conversation with what was said elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationImport {
    /// The conversation.
    pub conversation: ConversationDocument,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
event!(ConversationImport, "conversation.import", REQUESTS_INCOMING);

/// A conversation has another title.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationRenamed {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The title.
    pub title: String,
    /// Whether it was found by Nexus and not given by a person, whose title is never replaced.
    #[serde(default)]
    pub automatic: bool,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
event!(ConversationRenamed, "conversation.renamed", CONVERSATIONS);

/// A conversation was summarised: models get to see this instead of its older messages, which stay
/// as they are for everybody else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationSummarized {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The summary of everything so far, earlier summaries included.
    pub summary: String,
    /// How many more messages it stands for.
    pub messages: u32,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
event!(
    ConversationSummarized,
    "conversation.summarized",
    CONVERSATIONS
);

/// A conversation began as a branch of another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationBranched {
    /// The new conversation.
    pub conversation_id: ConversationId,
    /// The one it was branched from.
    pub parent: ConversationId,
    /// The run of the parent whose message was replaced: everything before it belongs to both.
    pub run_id: RunId,
    /// The title it begins with, where its parent had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
event!(ConversationBranched, "conversation.branched", CONVERSATIONS);

/// A conversation began with what was said elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationImported {
    /// The new conversation.
    pub conversation_id: ConversationId,
    /// What was said.
    pub conversation: ConversationDocument,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
event!(ConversationImported, "conversation.imported", CONVERSATIONS);

/// A conversation is gone: whoever keeps anything of it erases that and confirms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationDeleted {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
event!(ConversationDeleted, "conversation.deleted", CONVERSATIONS);
