//! Conversations as documents: what import brings and export gives. Pure.

use nexus_contracts::conversation::{ConversationDocument, FORMAT, SaidMessage, Speaker};
use nexus_contracts::{Extra, Timestamp};

use crate::changes::SaidRow;

/// The place of what was said in a run: first the question, then the answer.
#[must_use]
pub fn place_of(run: &str, role: &str) -> String {
    format!("{run}/{}", u8::from(role == "assistant"))
}

/// What a document says was said, by place. It arrived at `at`, and the bus stored it at
/// `recorded_at`.
///
/// Its order is kept whatever its messages say about when they were said, and nothing of it stands
/// behind the moment it arrived.
pub fn rows(
    document: &ConversationDocument,
    conversation: &str,
    (at, recorded_at): (i64, i64),
) -> Vec<(String, SaidRow)> {
    let mut latest = document.created_at.map_or(at, Timestamp::as_millis).min(at);
    let messages = document.messages.iter().enumerate();
    let row = |(position, message): (usize, &SaidMessage)| {
        let told_at = message.at.map(Timestamp::as_millis);
        latest = told_at.map_or(latest, |told| told.max(latest)).min(at);
        let row = SaidRow {
            conversation_id: conversation.to_owned(),
            run_id: None,
            role: match message.role {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
            },
            text: Some(message.text.clone()),
            at: Some(latest),
            told_at,
            provider: message.provider.clone(),
            model: message.model.clone(),
            extra: extra(&message.extra),
            recorded_at,
        };
        (format!("{conversation}/{position:08}"), row)
    };
    messages.map(row).collect()
}

/// What a document says that this version does not know, as JSON.
#[must_use]
pub fn extra(extra: &Extra) -> Option<String> {
    if extra.is_empty() {
        return None;
    }
    // JSON values always serialize.
    serde_json::to_string(extra).ok()
}

/// Something said, as it is kept.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// `user` or `assistant`.
    pub role: String,
    /// The text.
    pub text: String,
    /// When its author says it was said, in milliseconds.
    pub told_at: Option<i64>,
    /// The provider that said it.
    pub provider: Option<String>,
    /// The model that said it.
    pub model: Option<String>,
    /// What its document said besides, as JSON.
    pub extra: Option<String>,
}

/// A conversation as a document.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The title it was given.
    pub title: Option<String>,
    /// When it began, in milliseconds.
    pub created_at: i64,
    /// What its document said besides, as JSON.
    pub extra: Option<String>,
}

/// Writes a document.
///
/// # Errors
/// When what a document said besides cannot be read back.
pub fn write(head: Head, said: Vec<Kept>) -> Result<ConversationDocument, serde_json::Error> {
    let messages = said.into_iter().map(|kept| {
        Ok(SaidMessage {
            role: match kept.role.as_str() {
                "assistant" => Speaker::Assistant,
                _ => Speaker::User,
            },
            text: kept.text,
            at: kept.told_at.map(Timestamp::from_millis),
            provider: kept.provider,
            model: kept.model,
            extra: read(kept.extra)?,
        })
    });
    Ok(ConversationDocument {
        format: FORMAT.to_owned(),
        version: 1,
        title: head.title,
        created_at: Some(Timestamp::from_millis(head.created_at)),
        messages: messages.collect::<Result<_, serde_json::Error>>()?,
        extra: read(head.extra)?,
    })
}

fn read(extra: Option<String>) -> Result<Extra, serde_json::Error> {
    extra.map_or_else(|| Ok(Extra::new()), |text| serde_json::from_str(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, at: Option<i64>) -> SaidMessage {
        SaidMessage {
            role: Speaker::User,
            text: text.to_owned(),
            at: at.map(Timestamp::from_millis),
            provider: None,
            model: None,
            extra: Extra::new(),
        }
    }

    #[test]
    fn the_order_of_a_document_is_kept_whatever_its_times_say() {
        let times = [Some(5), None, Some(2), Some(900)];
        let document = ConversationDocument {
            format: FORMAT.to_owned(),
            version: 1,
            title: None,
            created_at: Some(Timestamp::from_millis(1)),
            messages: times.map(|at| message("x", at)).to_vec(),
            extra: Extra::new(),
        };
        let rows = rows(&document, "c", (100, 100));
        let order: Vec<_> = rows
            .iter()
            .map(|(place, row)| (row.at, place.as_str()))
            .collect();
        assert!(
            order.is_sorted() && rows.iter().all(|(_, row)| row.at <= Some(100)),
            "{order:?}"
        );
        let told: Vec<_> = rows.iter().map(|(_, row)| row.told_at).collect();
        assert_eq!(told, times);
    }
}
