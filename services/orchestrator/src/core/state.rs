//! What is remembered of a conversation between two events.

use std::collections::VecDeque;

use nexus_contracts::chat::{ChatMessage, Usage};
use nexus_contracts::events::{InferenceCompleted, MessageSubmitted};
use nexus_contracts::settings::{Privacy, Settings};
use nexus_contracts::tool::Taint;
use nexus_contracts::{
    ConversationId, CorrelationId, Extra, MessageId, OrgId, RunId, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::resolve::Resolved;

/// A conversation. Bounded: what fell out of the window is in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Whose it is; nobody else may know that it exists.
    pub owner: Option<UserId>,
    /// Where it was branched from.
    #[serde(default)]
    pub parent: Option<Parent>,
    /// What it is called, once a person or a summary gave it a title.
    #[serde(default)]
    pub title: Option<Title>,
    /// What holds for all of its runs.
    #[serde(default)]
    pub settings: Settings,
    /// Stands for what was said before [`State::messages`].
    #[serde(default)]
    pub summary: Option<String>,
    /// The summary a model was asked for.
    #[serde(default)]
    pub summarizing: Option<Summarizing>,
    /// What was said last, oldest first.
    pub messages: Vec<ChatMessage>,
    /// The run that is going on.
    pub active: Option<Run>,
    /// Messages waiting for it to end.
    pub queued: VecDeque<Queued>,
    /// Where what was said in it may go: the strictest of all its messages, since every later prompt
    /// repeats the earlier ones.
    #[serde(default)]
    pub privacy: Privacy,
    /// What tools have brought into it: every later prompt repeats that, too.
    #[serde(default)]
    pub taint: Taint,
    /// Whether it was erased; nothing else is left then.
    #[serde(default)]
    pub deleted: bool,
}

impl State {
    /// A conversation in which nothing was said.
    #[must_use]
    pub fn new(conversation_id: ConversationId) -> Self {
        Self {
            conversation_id,
            owner: None,
            parent: None,
            title: None,
            settings: Settings::default(),
            summary: None,
            summarizing: None,
            messages: Vec::new(),
            active: None,
            queued: VecDeque::new(),
            privacy: Privacy::Open,
            taint: Taint::default(),
            deleted: false,
        }
    }
}

/// Where a branch left its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The parent.
    pub conversation_id: ConversationId,
    /// The run whose message was replaced.
    pub run_id: RunId,
}

/// What a conversation is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Title {
    /// The title.
    pub text: String,
    /// Whether a model found it; a person's is never replaced.
    pub automatic: bool,
}

/// A summary that a model was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summarizing {
    /// The command.
    pub command: MessageId,
    /// The run whose end led to it.
    pub header: RunHeader,
    /// How many of the oldest messages it will stand for.
    pub upto: usize,
    /// After this moment nobody answers any more.
    pub deadline: Timestamp,
}

/// Where a request comes from and where its answer goes; fixed for its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHeader {
    /// The run; for a command about a conversation, what its answer is named after.
    pub run_id: RunId,
    /// The tenant.
    pub org_id: OrgId,
    /// Who asked.
    pub user_id: UserId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// What the client groups by.
    pub correlation_id: CorrelationId,
    /// The message that asked.
    pub message_id: MessageId,
    /// The adapter or client, whose name ends the answer channel; empty for the local client.
    pub adapter: String,
    /// Whether the adapter confirms what it received (`receipt.recorded`).
    pub receipts: bool,
    /// Trace context of the request.
    pub traceparent: Option<String>,
    /// The message this run repeats on purpose.
    pub replay_of: Option<MessageId>,
    /// Whether no run is asked for, but something about a conversation.
    #[serde(default)]
    pub is_command: bool,
}

/// A message waiting for the run before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// The run it will start.
    pub header: RunHeader,
    /// The message.
    pub message: MessageSubmitted,
}

/// A run that is going on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Where it comes from and goes to.
    pub header: RunHeader,
    /// How it works: settled when it started.
    pub settings: Resolved,
    /// Free for the client; comes back with the answer.
    pub metadata: Extra,
    /// Model calls so far, one after another, the pending ones included.
    pub step: u32,
    /// After this moment it is ended. While a person is asked, the moment by which the answer and
    /// the rest of the run must be there.
    pub deadline: Timestamp,
    /// What was left of its time when a person was asked; the clock stands still meanwhile.
    #[serde(default)]
    pub paused_ms: Option<i64>,
    /// Tokens of the model calls that ended.
    pub usage: Usage,
    /// What the model was told to be: derived from the instructions and the summary.
    pub prompt_hash: Uuid,
    /// What the model was offered: derived from the tools.
    pub tools_hash: Uuid,
    /// What it waits for.
    pub pending: Pending,
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Pending {
    /// A model, asked once or several times.
    Inference {
        /// One for each answer that is drawn.
        samples: Vec<Sample>,
    },
    /// Tools, all of one step.
    Tools {
        /// The calls, in the model's order.
        calls: Vec<PendingCall>,
    },
}

/// One of the answers that are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The command.
    pub command: MessageId,
    /// What came of it.
    pub outcome: Drawn,
}

/// What came of an answer that is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Drawn {
    /// Nothing yet.
    Open,
    /// An answer.
    Answered(Box<InferenceCompleted>),
    /// No answer.
    Failed,
}

/// A tool call and, once it returned, what the model gets to see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingCall {
    /// The command.
    pub command: MessageId,
    /// The model's name for the call.
    pub call_id: String,
    /// What a person is asked first.
    #[serde(default)]
    pub approval: Option<PendingApproval>,
    /// What its result will bring into the conversation.
    #[serde(default)]
    pub taint: Taint,
    /// The result as text, once there.
    pub content: Option<String>,
}

/// A tool call that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingApproval {
    /// The tool.
    pub tool: String,
    /// Its arguments as the model wrote them, aliases resolved.
    pub arguments: String,
    /// After this moment it counts as denied.
    pub expires_at: Timestamp,
}

impl Pending {
    /// The commands that were issued and are still unanswered.
    #[must_use]
    pub fn commands(&self) -> Vec<MessageId> {
        match self {
            Self::Inference { samples } => samples
                .iter()
                .filter(|sample| sample.outcome == Drawn::Open)
                .map(|sample| sample.command.clone())
                .collect(),
            Self::Tools { calls } => calls
                .iter()
                .filter(|call| call.content.is_none() && call.approval.is_none())
                .map(|call| call.command.clone())
                .collect(),
        }
    }

    /// What persons are still asked.
    #[must_use]
    pub fn approvals(&self) -> Vec<MessageId> {
        match self {
            Self::Inference { .. } => Vec::new(),
            Self::Tools { calls } => calls
                .iter()
                .filter(|call| call.content.is_none() && call.approval.is_some())
                .map(|call| call.command.clone())
                .collect(),
        }
    }
}
