//! What a message says about conversations and runs. Pure.
//!
//! Channels are read side by side, so messages of one run arrive in any order and more than once.
//! Every fact therefore commutes: it fills fields that nothing else fills, and filling them again
//! changes nothing.

use std::collections::BTreeMap;

use nexus_contracts::events::{
    Event, MessageAccepted, MessageCompleted, MessageFailed, MessageSubmitted, RunCancel,
};
use nexus_contracts::principal::Principal;
use nexus_contracts::{ConversationId, CorrelationId, Envelope, OrgId, RunId, UserId};
use uuid::Uuid;

/// Whose messages a channel carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A worker or adapter of ours: the metadata says for whom.
    Ours,
    /// An external client: its principal, whatever it claims.
    Client(Principal),
}

/// Messages that say for nobody: none of ours does.
pub const NOBODY: OrgId = OrgId(Uuid::nil());

/// A message with its place.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The tenant.
    pub org: OrgId,
    /// The channel.
    pub channel: String,
    /// Where it stands in the channel.
    pub entry_id: String,
    /// What it is grouped by.
    pub correlation_id: Option<CorrelationId>,
    /// The conversation.
    pub conversation_id: Option<ConversationId>,
    /// The run.
    pub run_id: Option<RunId>,
    /// The message.
    pub envelope: Envelope,
    /// What it says.
    pub fact: Option<Fact>,
}

/// Something learnt about a run.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Someone asked.
    Submitted {
        /// Who.
        user: Option<UserId>,
        /// What.
        text: String,
    },
    /// The question was taken; its conversation exists.
    Accepted,
    /// It was answered.
    Completed(Box<MessageCompleted>),
    /// It was not.
    Failed(MessageFailed),
}

/// Places a message and reads what it says.
#[must_use]
pub fn record(envelope: Envelope, channel: &str, entry_id: String, origin: &Origin) -> Recorded {
    let metadata = &envelope.metadata;
    let (org, user) = match origin {
        Origin::Ours => (metadata.org_id.unwrap_or(NOBODY), metadata.user_id),
        Origin::Client(principal) => (principal.org_id, Some(principal.user_id)),
    };
    let place = place(&envelope, channel, org);
    let fact = fact(&envelope, user);
    let correlation_id = envelope
        .correlation_id
        .clone()
        .or_else(|| place.0.map(CorrelationId::from));
    Recorded {
        org,
        channel: channel.to_owned(),
        entry_id,
        correlation_id,
        conversation_id: place.1,
        run_id: place.0,
        envelope,
        fact,
    }
}

/// The run and conversation of a message, as the orchestrator sees them.
fn place(
    envelope: &Envelope,
    channel: &str,
    org: OrgId,
) -> (Option<RunId>, Option<ConversationId>) {
    let metadata = &envelope.metadata;
    match envelope.event_type.as_str() {
        MessageSubmitted::TYPE => {
            let run = RunId::of(org, channel, &envelope.id);
            let named = envelope.decode::<MessageSubmitted>().ok();
            let named = named.and_then(|message| message.conversation_id);
            (
                Some(run),
                Some(named.unwrap_or_else(|| ConversationId::opened_by(run))),
            )
        }
        RunCancel::TYPE => {
            let cancel = envelope.decode::<RunCancel>().ok();
            cancel.map_or((None, None), |one| {
                (Some(one.run_id), Some(one.conversation_id))
            })
        }
        _ => (metadata.run_id, metadata.conversation_id),
    }
}

fn fact(envelope: &Envelope, user: Option<UserId>) -> Option<Fact> {
    match envelope.event_type.as_str() {
        MessageSubmitted::TYPE => {
            let message = envelope.decode::<MessageSubmitted>().ok()?;
            Some(Fact::Submitted {
                user,
                text: message.text,
            })
        }
        MessageAccepted::TYPE => Some(Fact::Accepted),
        MessageCompleted::TYPE => Some(Fact::Completed(Box::new(envelope.decode().ok()?))),
        MessageFailed::TYPE => Some(Fact::Failed(envelope.decode().ok()?)),
        _ => None,
    }
}

/// A row of the table `run`: what a batch learnt about one run; `None` leaves what is stored.
#[derive(Clone, Debug, Default)]
pub struct RunRow {
    /// What it is grouped by.
    pub correlation_id: Option<String>,
    /// The conversation.
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

/// What was said, by run and role.
#[derive(Clone, Debug)]
pub struct SaidRow {
    /// The conversation.
    pub conversation_id: String,
    /// `user` or `assistant`.
    pub role: &'static str,
    /// The text.
    pub text: String,
    /// When, in milliseconds.
    pub at: i64,
}

/// What a batch changes in the read models of one organisation.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Runs, by id.
    pub runs: BTreeMap<String, RunRow>,
    /// What was said, by run and role.
    pub said: BTreeMap<(String, &'static str), SaidRow>,
    /// Conversations that exist: who opened them where that is known, first and last moment.
    pub conversations: BTreeMap<String, (Option<String>, i64, i64)>,
}

impl Changes {
    /// Adds what a message says.
    pub fn add(&mut self, recorded: &Recorded) {
        let (Some(run), Some(conversation)) = (recorded.run_id, recorded.conversation_id) else {
            return;
        };
        let Some(fact) = &recorded.fact else { return };
        let at = recorded.envelope.timestamp.as_millis();
        let (run, conversation) = (run.to_string(), conversation.to_string());
        let row = self.runs.entry(run.clone()).or_default();
        row.conversation_id = Some(conversation.clone());
        row.correlation_id = recorded.correlation_id.as_ref().map(ToString::to_string);
        match fact {
            Fact::Submitted { text, .. } => {
                row.asked_at = Some(at);
                self.say(run, conversation, ("user", text), at);
            }
            Fact::Accepted => {
                row.accepted_at = Some(at);
                let user = recorded
                    .envelope
                    .metadata
                    .user_id
                    .map(|user| user.to_string());
                self.touch(conversation, user, at);
            }
            // A run ends once: what is told again changes nothing, here as in the database.
            Fact::Completed(_) | Fact::Failed(_) if row.ended_at.is_some() => {}
            Fact::Completed(event) => {
                complete(row, event, at);
                self.touch(conversation.clone(), None, at);
                self.say(run, conversation, ("assistant", &event.text), at);
            }
            Fact::Failed(event) => {
                row.ended_at = Some(at);
                row.outcome = Some("failed".to_owned());
                row.code = Some(event.code.clone());
            }
        }
    }

    fn say(
        &mut self,
        run: String,
        conversation_id: String,
        (role, text): (&'static str, &str),
        at: i64,
    ) {
        let row = SaidRow {
            conversation_id,
            role,
            text: text.to_owned(),
            at,
        };
        self.said.insert((run, role), row);
    }

    fn touch(&mut self, conversation: String, user: Option<String>, at: i64) {
        let entry = self
            .conversations
            .entry(conversation)
            .or_insert((None, at, at));
        entry.0 = entry.0.take().or(user);
        entry.1 = entry.1.min(at);
        entry.2 = entry.2.max(at);
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
