//! What messages change in the read models of one organisation. Pure.
//!
//! Channels are read side by side, so messages arrive in any order and more than once. Every change
//! therefore commutes: it fills what nothing else fills, or keeps the smaller or larger of two.

use std::collections::{BTreeMap, BTreeSet};

use nexus_contracts::events::{ConversationBranched, ConversationSummarized, MessageCompleted};
use nexus_contracts::{Timestamp, derive_id};

use crate::document;
use crate::fact::{Fact, Recorded};

/// The moment of a question that never became part of a conversation.
pub const NEVER: i64 = i64::MAX;

/// A row of the table `run`; `None` leaves what is stored.
#[derive(Clone, Debug, Default)]
pub struct RunRow {
    /// Who asked.
    pub user_id: Option<String>,
    /// What it is grouped by.
    pub correlation_id: Option<String>,
    /// The conversation: told, once it is accepted; claimed before.
    pub conversation_id: Option<String>,
    /// When it was asked, in milliseconds.
    pub asked_at: Option<i64>,
    /// When it was accepted.
    pub accepted_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// `completed` or `failed`.
    pub outcome: Option<String>,
    /// Why it failed.
    pub code: Option<String>,
    /// The provider of the last step.
    pub provider: Option<String>,
    /// The model of the last step.
    pub model: Option<String>,
    /// Tokens of all prompts.
    pub input_tokens: Option<i64>,
    /// Tokens of all answers.
    pub output_tokens: Option<i64>,
    /// Model calls.
    pub steps: Option<i64>,
}

/// A row of the table `said`, by its place: something said, or part of what is known of it.
#[derive(Clone, Debug, Default)]
pub struct SaidRow {
    /// The conversation.
    pub conversation_id: String,
    /// The run it started or ended.
    pub run_id: Option<String>,
    /// `user` or `assistant`.
    pub role: &'static str,
    /// The text; of a question known when it was read, which may be after it was accepted.
    pub text: Option<String>,
    /// Where it stands in the conversation, in milliseconds: when a question was accepted, when an
    /// answer was given. Nothing without it is part of a conversation, nor what has [`NEVER`]: the
    /// question of a run that failed, unless it was accepted too.
    pub at: Option<i64>,
    /// When its author says it was said.
    pub told_at: Option<i64>,
    /// The provider that said it.
    pub provider: Option<String>,
    /// The model that said it.
    pub model: Option<String>,
    /// What an imported document says besides, as JSON.
    pub extra: Option<String>,
    /// When the bus stored what told of it, in milliseconds.
    pub recorded_at: i64,
}

/// A title, and how it is ranked among those a conversation was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Title {
    /// A person's before an automatic one, then the later one.
    pub rank: String,
    /// When it was given, in milliseconds.
    pub at: i64,
    /// The title.
    pub text: String,
}

/// A row of the table `conversation`.
#[derive(Clone, Debug)]
pub struct ConversationRow {
    /// Whose it is, where that is known.
    pub user_id: Option<String>,
    /// The first moment known, in milliseconds.
    pub created_at: i64,
    /// The last one.
    pub updated_at: i64,
    /// Its title.
    pub title: Option<Title>,
    /// What an imported document says besides, as JSON.
    pub extra: Option<String>,
}

/// A row of the table `branch`.
#[derive(Clone, Debug)]
pub struct BranchRow {
    /// The conversation it was branched from.
    pub parent: String,
    /// The run whose message was replaced.
    pub run_id: String,
    /// When, in milliseconds.
    pub at: i64,
}

/// A row of the table `summary`.
#[derive(Clone, Debug)]
pub struct SummaryRow {
    /// The summary.
    pub summary: String,
    /// How many more messages it stands for.
    pub messages: i64,
    /// When, in milliseconds.
    pub at: i64,
}

/// What a batch changes in the read models of one organisation.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Runs, by id.
    pub runs: BTreeMap<String, RunRow>,
    /// What was said, by its place.
    pub said: BTreeMap<String, SaidRow>,
    /// Conversations that exist.
    pub conversations: BTreeMap<String, ConversationRow>,
    /// Branches, by conversation.
    pub branches: BTreeMap<String, BranchRow>,
    /// Summaries, by conversation and message.
    pub summaries: BTreeMap<(String, String), SummaryRow>,
    /// Conversations that are gone, with the moment.
    pub deleted: BTreeMap<String, i64>,
}

impl Changes {
    /// Adds what a message says.
    pub fn add(&mut self, recorded: &Recorded) {
        let (Some(fact), Some(conversation)) = (&recorded.fact, recorded.conversation_id) else {
            return;
        };
        let at = recorded.envelope.timestamp.as_millis();
        let conversation = conversation.to_string();
        match fact {
            Fact::Deleted => {
                self.deleted.entry(conversation).or_insert(at);
                return;
            }
            Fact::Submitted { .. } | Fact::Failed(_) => {}
            _ => self.touch(&conversation, recorded, at),
        }
        match fact {
            Fact::Submitted { .. } | Fact::Accepted | Fact::Completed(_) | Fact::Failed(_) => {
                self.run(fact, recorded, conversation, at);
            }
            Fact::Renamed(event) => {
                self.name(&conversation, (&event.title, !event.automatic), recorded);
            }
            Fact::Summarized(event) => self.summarize(event, recorded, conversation),
            Fact::Branched(event) => self.branch(event, recorded, conversation),
            Fact::Imported(event) => {
                let document = &event.conversation;
                if let Some(title) = &document.title {
                    self.name(&conversation, (title, true), recorded);
                }
                if let Some(row) = self.conversations.get_mut(&conversation) {
                    let created = document.created_at.map_or(at, Timestamp::as_millis);
                    row.created_at = row.created_at.min(created);
                    row.extra = row
                        .extra
                        .take()
                        .or_else(|| document::extra(&document.extra));
                }
                let rows = document::rows(document, &conversation, (at, recorded.stored_at));
                self.said.extend(rows);
            }
            Fact::Touched | Fact::Deleted => {}
        }
    }

    /// Leaves out what is about conversations that are gone. What was said in those that are held
    /// stays: a branch may show it.
    pub fn forget(&mut self, gone: &BTreeMap<String, bool>) {
        let is_gone = |id: &Option<String>| id.as_ref().is_some_and(|id| gone.contains_key(id));
        self.runs.retain(|_, run| !is_gone(&run.conversation_id));
        self.conversations.retain(|id, _| !gone.contains_key(id));
        self.summaries.retain(|(id, _), _| !gone.contains_key(id));
        self.said
            .retain(|_, said| gone.get(&said.conversation_id).copied().unwrap_or(true));
    }

    /// Runs whose acceptance, or whose branch, came with this batch.
    #[must_use]
    pub fn turning_points(&self) -> BTreeSet<String> {
        let said = self
            .said
            .values()
            .filter(|said| said.role == "user" && said.at.is_some());
        let accepted = said.filter_map(|said| said.run_id.clone());
        let branched = self.branches.values().map(|branch| branch.run_id.clone());
        accepted.chain(branched).collect()
    }

    fn run(&mut self, fact: &Fact, recorded: &Recorded, conversation: String, at: i64) {
        let Some(run) = recorded.run_id.map(|run| run.to_string()) else {
            return;
        };
        let row = self.runs.entry(run.clone()).or_default();
        row.user_id = row
            .user_id
            .take()
            .or_else(|| recorded.user.map(|user| user.to_string()));
        let correlation = recorded.correlation_id.as_ref().map(ToString::to_string);
        row.correlation_id = row.correlation_id.take().or(correlation);
        if !matches!(fact, Fact::Submitted { .. }) || row.conversation_id.is_none() {
            row.conversation_id = Some(conversation.clone());
        }
        let mut said = SaidRow {
            conversation_id: conversation,
            run_id: Some(run),
            role: "user",
            recorded_at: recorded.stored_at,
            ..SaidRow::default()
        };
        match fact {
            Fact::Submitted { text } => {
                row.asked_at = earlier(row.asked_at, Some(at));
                said.text = Some(text.clone());
                said.told_at = Some(at);
            }
            Fact::Accepted => {
                row.accepted_at = earlier(row.accepted_at, Some(at));
                said.at = Some(at);
            }
            // A run ends once: what is told again changes nothing, here as in the database.
            _ if row.ended_at.is_some() => return,
            Fact::Completed(event) => {
                complete(row, event, at);
                said.role = "assistant";
                said.text = Some(event.text.clone());
                (said.at, said.told_at) = (Some(at), Some(at));
                said.provider = Some(event.provider.clone());
                said.model = Some(event.model.clone());
            }
            Fact::Failed(event) => {
                row.ended_at = Some(at);
                row.outcome = Some("failed".to_owned());
                row.code = Some(event.code.clone());
                said.at = Some(NEVER);
            }
            _ => return,
        }
        self.say(said);
    }

    fn say(&mut self, row: SaidRow) {
        let place = document::place_of(row.run_id.as_deref().unwrap_or_default(), row.role);
        match self.said.get_mut(&place) {
            Some(known) => known.merge(row),
            None => drop(self.said.insert(place, row)),
        }
    }

    fn touch(&mut self, conversation: &str, recorded: &Recorded, at: i64) {
        let row = self.conversations.entry(conversation.to_owned());
        let row = row.or_insert_with(|| ConversationRow {
            user_id: None,
            created_at: at,
            updated_at: at,
            title: None,
            extra: None,
        });
        row.user_id = row
            .user_id
            .take()
            .or_else(|| recorded.user.map(|user| user.to_string()));
        row.created_at = row.created_at.min(at);
        row.updated_at = row.updated_at.max(at);
    }

    fn name(&mut self, conversation: &str, title: (&str, bool), recorded: &Recorded) {
        let (text, by_a_person) = title;
        let at = recorded.envelope.timestamp.as_millis();
        // Of two of the same moment either is right, as long as it is always the same one.
        let tie = derive_id([recorded.envelope.id.as_str().as_bytes()]).simple();
        let title = Title {
            rank: format!("{}{:020}{tie}", u8::from(by_a_person), at.max(0)),
            at,
            text: text.to_owned(),
        };
        if let Some(row) = self.conversations.get_mut(conversation) {
            row.title = row.title.take().max(Some(title));
        }
    }

    fn summarize(
        &mut self,
        event: &ConversationSummarized,
        recorded: &Recorded,
        conversation: String,
    ) {
        let row = SummaryRow {
            summary: event.summary.clone(),
            messages: i64::from(event.messages),
            at: recorded.envelope.timestamp.as_millis(),
        };
        let key = (conversation, recorded.envelope.id.to_string());
        self.summaries.insert(key, row);
    }

    fn branch(&mut self, event: &ConversationBranched, recorded: &Recorded, conversation: String) {
        if let Some(title) = &event.title {
            self.name(&conversation, (title, false), recorded);
        }
        let row = BranchRow {
            parent: event.parent.to_string(),
            run_id: event.run_id.to_string(),
            at: recorded.envelope.timestamp.as_millis(),
        };
        self.branches.insert(conversation, row);
    }
}

impl SaidRow {
    fn merge(&mut self, other: Self) {
        if other.at.is_some() {
            self.conversation_id = other.conversation_id;
        }
        self.text = self.text.take().or(other.text);
        self.at = earlier(self.at, other.at);
        self.told_at = earlier(self.told_at, other.told_at);
        self.provider = self.provider.take().or(other.provider);
        self.model = self.model.take().or(other.model);
        self.extra = self.extra.take().or(other.extra);
    }
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn complete(row: &mut RunRow, event: &MessageCompleted, at: i64) {
    let count = |tokens: u64| i64::try_from(tokens).ok();
    row.ended_at = Some(at);
    row.outcome = Some("completed".to_owned());
    row.provider = Some(event.provider.clone());
    row.model = Some(event.model.clone());
    row.input_tokens = count(event.usage.input_tokens);
    row.output_tokens = count(event.usage.output_tokens);
    row.steps = Some(i64::from(event.steps));
}
