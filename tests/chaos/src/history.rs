//! What happened in a run, as plain data: the checks read nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Milliseconds since the run began.
pub type Millis = u64;

/// How a reply ends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With an answer.
    Completed,
    /// Without one.
    Failed,
}

/// A final reply somebody got to see. The same reply seen twice is here twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The reply's own id.
    pub id: String,
    /// How it ends the request.
    pub ending: Ending,
    /// The text of an answer; code and detail of a failure.
    pub text: String,
    /// When it was seen.
    pub at: Millis,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A turn of a conversation.
    Turn,
    /// A turn that only its deadline can end.
    Silence,
    /// A try to go on with somebody else's conversation; must be refused.
    Intrusion,
}

/// A request as its client knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Idempotency key or message id.
    pub id: String,
    /// Who asks; the name of the client's channels, or `api`.
    pub client: String,
    /// What for.
    pub purpose: Purpose,
    /// Our name of the conversation.
    pub conversation: String,
    /// From 1.
    pub turn: u32,
    /// The hash a right answer has.
    pub expected: String,
    /// When it was put.
    pub asked_at: Millis,
    /// When it was first promised an outcome: 202, or stored by the bus.
    pub accepted_at: Option<Millis>,
    /// What came back.
    pub replies: Vec<Reply>,
}

impl Request {
    /// When its first final reply was seen.
    #[must_use]
    pub fn answered_at(&self) -> Option<Millis> {
        self.replies.iter().map(|reply| reply.at).min()
    }
}

/// A call the model received, as its ledger has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// From 1, in order of arrival.
    pub number: u64,
    /// When.
    pub at: Millis,
    /// Whose conversation; empty where the prompt is none of ours (a title, a summary).
    pub client: String,
    /// Our name of the conversation.
    pub conversation: String,
    /// The turn that is asked.
    pub turn: u32,
    /// How many tool results followed the question.
    pub results: usize,
    /// The hash of everything that was sent.
    pub digest: String,
    /// The turns of the conversation that were sent, in order.
    pub turns: Vec<u32>,
    /// Other conversations that were sent along.
    pub strangers: Vec<String>,
    /// Tool calls without a result, results without a call, and wrong results.
    pub unpaired: Vec<String>,
}

/// A row of the orchestrator's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// The organisation.
    pub org: String,
    /// The conversation.
    pub conversation: String,
    /// Its place.
    pub seq: i64,
    /// The message that was taken.
    pub message: String,
}

/// A conversation as the orchestrator has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationRow {
    /// The organisation.
    pub org: String,
    /// The conversation.
    pub conversation: String,
    /// How often it was written.
    pub version: i64,
}

/// A row of an effect ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectRow {
    /// Whose ledger.
    pub service: String,
    /// The command.
    pub id: String,
    /// How it may be repeated.
    pub class: String,
    /// How often it was begun.
    pub attempt: i64,
    /// Whether there is a result.
    pub done: bool,
}

/// What was left when everything had been given its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Unsettled messages of the orchestrator's outbox.
    pub outbox: Vec<String>,
    /// Groups with something before them: channel, group and how much.
    pub backlogs: Vec<(String, String, u64)>,
    /// Parked messages: channel and id.
    pub dead: Vec<(String, String)>,
}

/// A fault, from its beginning until it was healed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Its kind.
    pub kind: String,
    /// What it was done to.
    pub target: String,
    /// When it began.
    pub from: Millis,
    /// When it was healed.
    pub until: Millis,
}

/// Writes that were refused because somebody else had written first, by the counter that says so.
pub type Refused = BTreeMap<String, u64>;

/// Everything that is known of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What was asked, and what came back.
    pub requests: Vec<Request>,
    /// What the model was asked.
    pub calls: Vec<Call>,
    /// The orchestrator's journal.
    pub journal: Vec<JournalRow>,
    /// Its conversations.
    pub conversations: Vec<ConversationRow>,
    /// Changes that did not raise a conversation's version, as the server itself noted them: which
    /// conversation, and what was written over what.
    pub overwritten: Vec<(String, String)>,
    /// Conversations whose checkpoint is not what their journal folds to: which, and how they differ.
    pub misfolded: Vec<(String, String)>,
    /// How many were folded.
    pub folded: u64,
    /// The effect ledgers.
    pub effects: Vec<EffectRow>,
    /// What was left.
    pub leftovers: Leftovers,
    /// What was done to it.
    pub faults: Vec<Span>,
    /// Writes refused.
    pub refused: Refused,
    /// Whether two replicas competed, under faults that make them.
    pub competed: bool,
    /// What an organisation got to see of another one.
    pub leaks: Vec<String>,
    /// When everything was healed for good.
    pub healed_at: Millis,
    /// How long after that, or after acceptance, an outcome may take.
    pub patience: Millis,
    /// How long a run may take before its deadline ends it.
    pub run_timeout: Millis,
    /// Extra model calls a single fault may cost: as many as were in flight.
    pub calls_per_fault: u64,
}
