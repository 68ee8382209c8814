//! What the read side answers.

use nexus_contracts::{ContentType, Envelope, MessageId, Metadata, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A page of conversations, the most recent first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConversationList {
    /// The conversations.
    pub conversations: Vec<ConversationSummary>,
    /// Pass it as `before` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A conversation in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConversationSummary {
    /// The conversation.
    pub conversation_id: String,
    /// The title it was given, or how it began, shortened; empty when neither is kept.
    pub title: String,
    /// The conversation it was branched from, as long as there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Whether models get to see a summary instead of its older messages.
    pub summarized: bool,
    /// When it began, RFC 3339.
    pub created_at: String,
    /// When something last happened, RFC 3339.
    pub updated_at: String,
}

/// A conversation with what was said.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conversation {
    /// As in the list.
    #[serde(flatten)]
    pub head: ConversationSummary,
    /// What models get to see instead of older messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// A page of what was said, oldest first. The first page is the end of the conversation. A
    /// branch shows what was said before it left its parent too.
    pub messages: Vec<Said>,
    /// Pass it as `before` for the messages before these; absent at the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A summary.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// The text.
    pub text: String,
    /// How many messages it stands for.
    pub messages: i64,
    /// When it was made, RFC 3339.
    pub at: String,
}

/// Something that was said.
#[derive(Debug, Serialize, ToSchema)]
pub struct Said {
    /// `user` or `assistant`.
    pub role: String,
    /// The text.
    pub text: String,
    /// When, RFC 3339.
    pub at: String,
    /// The run it started or ended; absent for what was imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The provider that said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model that said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// A page of what was found, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchPage {
    /// What was found.
    pub hits: Vec<SearchHit>,
    /// Pass it as `before` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Something that was found: a message, or the title of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchHit {
    /// The conversation.
    pub conversation_id: String,
    /// Its title.
    pub title: String,
    /// `user` or `assistant`; absent where the title was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The run of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// When it was said, or the title given, RFC 3339.
    pub at: String,
    /// The text around what was found.
    pub snippet: Vec<Piece>,
}

/// Part of a text.
#[derive(Debug, Serialize, ToSchema)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it is what was searched for.
    pub hit: bool,
}

/// Everything under one correlation id.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunTrace {
    /// The correlation id.
    pub correlation_id: String,
    /// Its runs.
    pub runs: Vec<Run>,
    /// Its messages, in order of time; at most the first 10,000.
    pub messages: Vec<Hop>,
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub struct Run {
    /// The run.
    pub run_id: String,
    /// The conversation.
    pub conversation_id: Option<String>,
    /// `queued`, `running`, `completed` or `failed`.
    pub status: String,
    /// Why it failed, as a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The provider of the last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model of the last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens of all prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<i64>,
    /// Tokens of all answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<i64>,
    /// Model calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<i64>,
    /// When it was asked, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

/// A message on its way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hop {
    /// The channel.
    pub channel: String,
    /// The event type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The message.
    pub id: String,
    /// When it was made, RFC 3339.
    pub at: String,
    /// Milliseconds after the first message.
    pub offset_ms: i64,
    /// What it says about itself.
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// The event.
    #[schema(value_type = Object)]
    pub payload: Value,
}

/// RFC 3339 of milliseconds.
#[must_use]
pub fn moment(millis: i64) -> String {
    Timestamp::from_millis(millis).to_string()
}

/// The first line of a text, at most 80 characters.
#[must_use]
pub fn title(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(80).collect();
    if short.len() < line.len() {
        format!("{short}…")
    } else {
        short
    }
}

/// The payload as JSON; what is not readable as an event is said to be so.
#[must_use]
pub fn payload(content_type: &str, payload: Vec<u8>) -> Value {
    let json = content_type == ContentType::Json.as_str();
    let content_type = if json {
        ContentType::Json
    } else {
        ContentType::MessagePack
    };
    let size = payload.len();
    let envelope = Envelope {
        id: MessageId::from(uuid::Uuid::nil()),
        event_type: String::new(),
        correlation_id: None,
        timestamp: Timestamp::from_millis(0),
        content_type,
        traceparent: None,
        metadata: Metadata::default(),
        payload: payload.into(),
        extra: std::collections::BTreeMap::new(),
    };
    envelope.payload_json().unwrap_or_else(
        |error| serde_json::json!({ "unreadable": error.to_string(), "bytes": size }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_cut_between_characters() {
        assert_eq!(title("  hello\nworld"), "hello");
        let long = "ü".repeat(100);
        assert_eq!(title(&long), format!("{}…", "ü".repeat(80)));
    }

    #[test]
    fn an_unreadable_payload_says_so() {
        let shown = payload("application/msgpack", vec![0xc1]);
        assert_eq!(shown["bytes"], 1);
    }
}
