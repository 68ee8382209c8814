//! What is remembered of a conversation between two events.

use std::collections::VecDeque;

use nexus_contracts::chat::{ChatMessage, Usage};
use nexus_contracts::events::MessageSubmitted;
use nexus_contracts::{ConversationId, CorrelationId, MessageId, OrgId, RunId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// A conversation. Bounded: what fell out of the window is in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// What was said, oldest first; at most the context window.
    pub messages: Vec<ChatMessage>,
    /// The run that is going on.
    pub active: Option<Run>,
    /// Messages waiting for it to end.
    pub queued: VecDeque<Queued>,
}

impl State {
    /// A conversation in which nothing was said.
    #[must_use]
    pub const fn new(conversation_id: ConversationId) -> Self {
        Self {
            conversation_id,
            messages: Vec::new(),
            active: None,
            queued: VecDeque::new(),
        }
    }
}

/// Where a run comes from and where its answer goes; fixed for its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHeader {
    /// The run.
    pub run_id: RunId,
    /// The tenant.
    pub org_id: OrgId,
    /// Who asked.
    pub user_id: UserId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// What the client groups by.
    pub correlation_id: CorrelationId,
    /// The message that started it.
    pub message_id: MessageId,
    /// The adapter or client, whose name ends the answer channel; empty for the local client.
    pub adapter: String,
    /// Whether the adapter confirms what it received (`receipt.recorded`).
    pub receipts: bool,
    /// Trace context of the request.
    pub traceparent: Option<String>,
    /// The message this run repeats on purpose.
    pub replay_of: Option<MessageId>,
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
    /// What was asked, without the text, which is in the messages.
    pub options: RunOptions,
    /// Model calls so far, the pending one included.
    pub step: u32,
    /// After this moment it is ended.
    pub deadline: Timestamp,
    /// Tokens of the steps that ended.
    pub usage: Usage,
    /// What it waits for.
    pub pending: Pending,
}

/// What a request chose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunOptions {
    /// The provider, by name.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The tools allowed; all when absent.
    pub tools: Option<Vec<String>>,
    /// Free for the client; comes back with the answer.
    pub metadata: nexus_contracts::Extra,
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Pending {
    /// A model.
    Inference {
        /// The command.
        command: MessageId,
    },
    /// Tools, all of one step.
    Tools {
        /// The calls, in the model's order.
        calls: Vec<PendingCall>,
    },
}

/// A tool call and, once it returned, what the model gets to see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingCall {
    /// The command.
    pub command: MessageId,
    /// The model's name for the call.
    pub call_id: String,
    /// The result as text, once there.
    pub content: Option<String>,
}

impl Pending {
    /// The commands still unanswered.
    #[must_use]
    pub fn commands(&self) -> Vec<MessageId> {
        match self {
            Self::Inference { command } => vec![command.clone()],
            Self::Tools { calls } => {
                let open = calls.iter().filter(|call| call.content.is_none());
                open.map(|call| call.command.clone()).collect()
            }
        }
    }
}
