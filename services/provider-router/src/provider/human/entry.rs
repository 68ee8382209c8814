//! A question that waits for a person: value of the table `inbox`. Pure.

use std::time::Duration;

use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::{ConversationId, OrgId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::provider::ChatRequest;

/// Most messages of a conversation that a person is shown: its last ones.
pub const MOST_MESSAGES: usize = 20;

/// Longest message that a person is shown, in characters. With [`MOST_MESSAGES`] it keeps an entry
/// below the 1 MiB that a NATS server takes at most where nobody has told it otherwise.
pub const LONGEST_MESSAGE: usize = 4_000;

/// A question that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxEntry {
    /// The command that asks; unique inside its organisation.
    pub id: String,
    /// The organisation that asks: nobody else gets to see the question.
    pub org: OrgId,
    /// The conversation it is about: what is erased with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// The provider that a person answers for, by its name in `providers.yaml`.
    pub provider: String,
    /// The call that waits, a new word for each: who goes on waiting in the place of somebody else
    /// writes its own, so that the one before leaves the entry alone.
    pub waiter: String,
    /// When a person was first asked.
    pub asked_at: Timestamp,
    /// Nobody waits for an answer after this moment.
    pub deadline: Timestamp,
    /// What is to be answered: what was said last by whoever asks.
    pub question: String,
    /// What was said, oldest first, with the question in it.
    pub conversation: Vec<Line>,
    /// What a person answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<HumanAnswer>,
    /// Why a person would not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<String>,
    /// Whether its conversation was deleted: then nothing of it is left but this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

/// A message of the conversation, as a person gets to see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Who spoke.
    pub role: Role,
    /// What was said, at most [`LONGEST_MESSAGE`] characters.
    pub content: String,
}

/// What a person answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HumanAnswer {
    /// The answer.
    pub text: String,
    /// Who says that they answered; nobody checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What became of a question that waits no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It is answered.
    Answered(HumanAnswer),
    /// It is not going to be, for this reason.
    Declined(String),
    /// Its conversation was deleted.
    Erased,
}

impl InboxEntry {
    /// The question of this request, asked now by the call `waiter` of `provider`, whose settings
    /// give a person the time `total`. The deadline of the command may be sooner. `None` for what
    /// belongs to no organisation: nobody could see it.
    #[must_use]
    pub fn asking(
        provider: &str,
        request: &ChatRequest,
        waiter: String,
        now: Timestamp,
        total: Duration,
    ) -> Option<Self> {
        let whose = &request.origin.metadata;
        let own = now.plus_millis(i64::try_from(total.as_millis()).unwrap_or(i64::MAX));
        let messages = &request.messages;
        let asked = messages.iter().rev().find(|said| said.role == Role::User);
        let shown = messages.len().saturating_sub(MOST_MESSAGES);
        let line = |said: &ChatMessage| Line {
            role: said.role,
            content: words(said),
        };
        Some(Self {
            id: request.id.clone(),
            org: whose.org_id?,
            conversation_id: whose.conversation_id,
            provider: provider.to_owned(),
            waiter,
            asked_at: now,
            deadline: whose.deadline.map_or(own, |deadline| deadline.min(own)),
            question: asked.map(words).unwrap_or_default(),
            conversation: messages.iter().skip(shown).map(line).collect(),
            answer: None,
            declined: None,
            erased: false,
        })
    }

    /// Reads a value of the table; `None` when it is of a form that this version does not know.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }

    /// Its key in the table.
    #[must_use]
    pub fn key(&self) -> String {
        key(self.org, &self.id)
    }

    /// What became of it; `None` while it waits.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        if self.erased {
            return Some(Closed::Erased);
        }
        let answered = self.answer.clone().map(Closed::Answered);
        answered.or_else(|| self.declined.clone().map(Closed::Declined))
    }

    /// Whether a person has said something about it.
    #[must_use]
    pub const fn is_dealt_with(&self) -> bool {
        self.answer.is_some() || self.declined.is_some()
    }

    /// It waits no more. Of what is erased nothing stays that anybody has said.
    pub fn close(&mut self, closed: &Closed) {
        match closed {
            Closed::Answered(answer) => self.answer = Some(answer.clone()),
            Closed::Declined(why) => self.declined = Some(why.clone()),
            Closed::Erased => {
                self.erased = true;
                self.question.clear();
                self.conversation.clear();
                (self.answer, self.declined) = (None, None);
            }
        }
    }

    /// Whether nobody waits any more.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.deadline <= now
    }
}

/// The key of a question. Ids are unique only inside an organisation, so that is a part of it: the
/// same id of another one is another question.
#[must_use]
pub fn key(org: OrgId, id: &str) -> String {
    format!("{org}/{id}")
}

/// What was said, with a line for each tool that was called and each picture.
fn words(said: &ChatMessage) -> String {
    let text = (!said.content.is_empty()).then(|| said.content.clone());
    let calls = said.tool_calls.iter();
    let calls = calls.map(|call| format!("[calls {}: {}]", call.name, call.arguments));
    let pictures = said.images.iter().map(|image| match image.inline() {
        Some((kind, _)) => format!("[a picture: {kind}]"),
        None => format!("[a picture: {}]", image.url),
    });
    let lines: Vec<String> = text.into_iter().chain(calls).chain(pictures).collect();
    cut(&lines.join("\n"))
}

fn cut(text: &str) -> String {
    if text.chars().nth(LONGEST_MESSAGE).is_none() {
        return text.to_owned();
    }
    let shown = text.chars().take(LONGEST_MESSAGE - 1);
    shown.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nexus_contracts::chat::{ChatMessage, Image, Role, ToolCall};
    use nexus_contracts::events::ModelParameters;
    use nexus_contracts::{ConversationId, Metadata, OrgId, Timestamp};

    use super::{Closed, HumanAnswer, InboxEntry, LONGEST_MESSAGE, MOST_MESSAGES, key};
    use crate::provider::{ChatRequest, Origin};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn asked(messages: Vec<ChatMessage>, metadata: Metadata) -> Option<InboxEntry> {
        let request = ChatRequest {
            id: "c1".to_owned(),
            model: "a-person".to_owned(),
            messages,
            tools: Vec::new(),
            parameters: ModelParameters::default(),
            origin: Origin {
                metadata,
                ..Origin::default()
            },
        };
        let minute = Duration::from_secs(60);
        InboxEntry::asking("people", &request, "w".to_owned(), NOW, minute)
    }

    fn entry(messages: Vec<ChatMessage>, deadline: Option<i64>) -> InboxEntry {
        let metadata = Metadata {
            org_id: Some(OrgId(uuid::Uuid::nil())),
            conversation_id: Some(ConversationId(uuid::Uuid::nil())),
            deadline: deadline.map(Timestamp::from_millis),
            ..Metadata::default()
        };
        asked(messages, metadata).unwrap()
    }

    #[test]
    fn what_is_nobodys_is_put_to_nobody() {
        assert_eq!(asked(Vec::new(), Metadata::default()), None);
    }

    #[test]
    fn what_is_erased_keeps_nothing_that_was_said() {
        let mut entry = entry(vec![ChatMessage::text(Role::User, "a secret")], None);
        entry.close(&Closed::Declined("another secret".to_owned()));
        entry.close(&Closed::Erased);
        let written = serde_json::to_string(&entry).unwrap();
        assert!(!written.contains("secret"), "{written}");
        let read = InboxEntry::read(written.as_bytes()).unwrap();
        assert_eq!(read.closed(), Some(Closed::Erased));
    }

    #[test]
    fn a_person_sees_the_end_of_a_conversation_and_nothing_endless() {
        let said = |number: usize| {
            let role = [Role::User, Role::Assistant][number % 2];
            ChatMessage::text(role, format!("{number} {}", "ä".repeat(LONGEST_MESSAGE)))
        };
        let entry = entry((0..30).map(said).collect(), None);
        assert_eq!(entry.conversation.len(), MOST_MESSAGES);
        assert!(entry.conversation[0].content.starts_with("10 "));
        assert!(entry.question.starts_with("28 "), "what a person said last");
        for line in &entry.conversation {
            assert_eq!(line.content.chars().count(), LONGEST_MESSAGE);
            assert!(line.content.ends_with('…'));
        }
        assert!(serde_json::to_vec(&entry).unwrap().len() < 512 * 1024);
    }

    #[test]
    fn what_is_no_text_is_told_in_words() {
        let mut calls = ChatMessage::text(Role::Assistant, "");
        calls.tool_calls.push(ToolCall {
            id: "1".to_owned(),
            name: "math_solver".to_owned(),
            arguments: "{}".to_owned(),
        });
        let mut shows = ChatMessage::text(Role::User, "What is this?");
        for url in ["data:image/png;base64,aGk=", "https://x.example/a.png"] {
            let (url, detail) = (url.to_owned(), None);
            shows.images.push(Image { url, detail });
        }
        let entry = entry(vec![calls, shows], None);
        assert_eq!(entry.conversation[0].content, "[calls math_solver: {}]");
        let shown = "What is this?\n[a picture: image/png]\n[a picture: https://x.example/a.png]";
        assert_eq!(entry.question, shown);
    }

    #[test]
    fn the_sooner_of_two_ends_counts() {
        let ends = |deadline| entry(Vec::new(), deadline).deadline.as_millis();
        assert_eq!(ends(None), 1_060_000);
        assert_eq!(ends(Some(1_005_000)), 1_005_000);
        assert_eq!(ends(Some(9_000_000)), 1_060_000);
        let entry = entry(Vec::new(), None);
        assert!(!entry.is_over(NOW) && entry.is_over(NOW.plus_millis(60_000)));
    }

    #[test]
    fn what_is_written_reads_and_organisations_are_apart() {
        let mut entry = entry(vec![ChatMessage::text(Role::User, "Hi")], None);
        assert_eq!(entry.closed(), None);
        let answered = Closed::Answered(HumanAnswer {
            text: "Hello".to_owned(),
            by: Some("Ann".to_owned()),
            at: NOW,
        });
        entry.close(&answered);
        let written = serde_json::to_vec(&entry).unwrap();
        let read = InboxEntry::read(&written).unwrap();
        assert_eq!(read, entry);
        assert_eq!(read.closed(), Some(answered));
        assert_eq!(InboxEntry::read(b"{}"), None);
        let other = OrgId(uuid::Uuid::max());
        assert_ne!(key(other, "c1"), entry.key());
    }
}
