//! What can happen to a conversation, and what the core is told besides.

use std::collections::{BTreeMap, BTreeSet};

use nexus_contracts::conversation::ConversationDocument;
use nexus_contracts::events::{
    ApprovalDecided, InferenceCompleted, InferenceFailed, MessageAccepted, MessageSubmitted,
};
use nexus_contracts::settings::Settings;
use nexus_contracts::tool::{ListedTool, Taint};
use nexus_contracts::{ConversationId, Extra, MessageId, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::Timer;
use super::state::{RunHeader, State};

/// What a person or program asks for, and who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Who asks, and where the answer goes.
    pub header: RunHeader,
    /// For what.
    pub request: Request,
}

impl Asked {
    /// The answer that says it is stored: about the run it names, or the one it starts.
    #[must_use]
    pub fn accepted(&self, conversation_id: ConversationId) -> MessageAccepted {
        let run_id = match &self.request {
            Request::Cancel { run_id } => *run_id,
            Request::Decide(decision) => decision.run_id,
            _ => self.header.run_id,
        };
        MessageAccepted {
            run_id,
            conversation_id,
            extra: Extra::new(),
        }
    }
}

/// What people and programs can ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// An answer.
    Submit(Box<MessageSubmitted>),
    /// No answer any more.
    Cancel {
        /// The run to end.
        run_id: RunId,
    },
    /// That a tool is called, or not.
    Decide(ApprovalDecided),
    /// Another title.
    Rename {
        /// The title.
        title: String,
    },
    /// Other settings for the conversation.
    Configure(Box<Settings>),
    /// To go on from an earlier point.
    Branch(Box<Branch>),
    /// To erase the conversation.
    Delete,
    /// A conversation that was held elsewhere.
    Import(Box<ConversationDocument>),
}

impl Request {
    /// Whether it may open a conversation that does not exist.
    #[must_use]
    pub const fn opens(&self) -> bool {
        match self {
            Self::Submit(message) => message.conversation_id.is_none(),
            Self::Branch(_) | Self::Import(_) => true,
            _ => false,
        }
    }
}

/// A conversation that leaves another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// The conversation it leaves.
    pub parent: ConversationId,
    /// The run whose message is replaced.
    pub run_id: RunId,
    /// What is said instead.
    pub message: MessageSubmitted,
    /// What the parent was just before that run started; absent when there is no such run.
    pub base: Option<Box<State>>,
}

/// What happened. The journal holds these, so that a conversation can be folded again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// Someone asked for something.
    Asked(Box<Asked>),
    /// A model answered.
    Inferred {
        /// The command it answers.
        command: MessageId,
        /// The answer.
        result: Box<InferenceCompleted>,
    },
    /// No model answered.
    InferenceFailed {
        /// The command it answers.
        command: MessageId,
        /// Why.
        failure: InferenceFailed,
    },
    /// A tool returned, or could not.
    ToolReturned {
        /// The command it answers.
        command: MessageId,
        /// What the model gets to see: the result as JSON text, or an error in words.
        content: String,
        /// What it brings into the conversation, besides what the tool always brings.
        #[serde(default)]
        taint: Taint,
    },
    /// A run's deadline passed.
    DeadlinePassed {
        /// The run.
        run_id: RunId,
    },
    /// Nobody decided about a tool call in time.
    ApprovalExpired {
        /// The run.
        run_id: RunId,
        /// The call's command.
        approval_id: MessageId,
    },
}

impl Input {
    /// The timer that fired, if one did.
    #[must_use]
    pub fn timer(&self) -> Option<Timer> {
        match self {
            Self::DeadlinePassed { run_id } => Some(Timer::Deadline(*run_id)),
            Self::ApprovalExpired {
                run_id,
                approval_id,
            } => Some(Timer::Approval(*run_id, approval_id.clone())),
            _ => None,
        }
    }

    /// What was asked, if anything was.
    #[must_use]
    pub fn asked(&self) -> Option<&Asked> {
        match self {
            Self::Asked(asked) => Some(asked),
            _ => None,
        }
    }

    /// The command it answers, if it answers one.
    #[must_use]
    pub const fn answers(&self) -> Option<&MessageId> {
        match self {
            Self::Inferred { command, .. }
            | Self::InferenceFailed { command, .. }
            | Self::ToolReturned { command, .. } => Some(command),
            _ => None,
        }
    }
}

/// Bounds of the service, whatever the settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Most tool calls of one step; the rest are refused in words the model can act on.
    pub max_parallel_tools: usize,
    /// Most messages waiting behind a running one.
    pub max_queued: usize,
    /// Most past messages that are remembered word for word.
    pub max_messages: usize,
}

/// Everything outside a conversation that decisions depend on. The journal names it by its hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Bounds of the service.
    pub bounds: Bounds,
    /// The tools there are.
    pub tools: BTreeMap<String, ListedTool>,
    /// The tools that are switched off: keys of `control.tools.off`, without the organisation.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub off: BTreeSet<String>,
    /// Settings by the keys of `control.settings`.
    pub settings: BTreeMap<String, Settings>,
}

/// What the core is told besides state and event.
#[derive(Clone, Copy, Debug)]
pub struct Ctx<'a> {
    /// Now.
    pub now: Timestamp,
    /// What decisions depend on.
    pub environment: &'a Environment,
}

/// Why an event changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// It answers something that is no longer asked: a late or repeated result.
    Stale,
    /// It cannot be carried out; the sender is told with `message.failed`.
    Refused {
        /// A stable word for programs.
        code: &'static str,
        /// What is wrong and what to do.
        detail: String,
    },
}

impl Reject {
    /// A refusal.
    #[must_use]
    pub fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused {
            code,
            detail: detail.into(),
        }
    }

    /// What somebody is told about a conversation that does not exist, or is somebody else's.
    #[must_use]
    pub fn unknown_conversation(id: ConversationId) -> Self {
        Self::refused(
            "unknown_conversation",
            format!("there is no conversation {id}; leave conversation_id out to open one"),
        )
    }
}
