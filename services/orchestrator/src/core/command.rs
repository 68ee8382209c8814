//! What the core wants done.

use nexus_contracts::events::{
    ApprovalRequested, ConversationBranched, ConversationDeleted, ConversationImported,
    ConversationRenamed, ConversationSummarized, InferenceRequested, MessageAccepted,
    MessageCompleted, MessageFailed, ToolRequested,
};
use nexus_contracts::{MessageId, RunId, Timestamp, derive_id};

use super::state::RunHeader;

/// One thing to do. Messages carry their id, so that doing it twice is recognised.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Tell the sender that what it asked is stored. Repeated whenever the message is.
    Accept {
        /// The request.
        header: RunHeader,
        /// The event.
        event: MessageAccepted,
    },
    /// Have a model answer.
    Infer {
        /// The command's id.
        id: MessageId,
        /// The run.
        header: RunHeader,
        /// The step, from 1; 0 for what belongs to no step.
        step: u32,
        /// After this moment it is refused.
        deadline: Timestamp,
        /// The event.
        event: Box<InferenceRequested>,
    },
    /// Have a tool called.
    CallTool {
        /// The command's id.
        id: MessageId,
        /// The run.
        header: RunHeader,
        /// The step, from 1.
        step: u32,
        /// After this moment it is refused.
        deadline: Timestamp,
        /// The event.
        event: ToolRequested,
    },
    /// Ask a person whether a tool may be called.
    AskApproval {
        /// The message's id.
        id: MessageId,
        /// The run.
        header: RunHeader,
        /// The step, from 1.
        step: u32,
        /// The event.
        event: Box<ApprovalRequested>,
    },
    /// Deliver the answer.
    Complete {
        /// The run.
        header: RunHeader,
        /// The event.
        event: Box<MessageCompleted>,
    },
    /// Deliver the failure.
    Fail {
        /// The run.
        header: RunHeader,
        /// The event.
        event: MessageFailed,
    },
    /// Tell everybody who stores content what became of the conversation.
    Tell {
        /// The message's id.
        id: MessageId,
        /// What led to it.
        header: RunHeader,
        /// What became of it.
        fact: Box<Fact>,
    },
    /// These commands need no answer any more.
    Settle {
        /// Their ids.
        commands: Vec<MessageId>,
    },
    /// Wake the run. Replaces the same timer.
    SetTimer {
        /// Which.
        timer: Timer,
        /// The moment.
        at: Timestamp,
    },
    /// Do not wake the run.
    ClearTimer {
        /// Which.
        timer: Timer,
    },
    /// Tell every worker to stop what it does for the run.
    Cancel {
        /// The run.
        run_id: RunId,
        /// After this moment nothing of it can still be going on.
        until: Timestamp,
    },
    /// Forget everything that was stored about the conversation before.
    Erase,
}

/// What became of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// It has another title.
    Renamed(ConversationRenamed),
    /// It was summarised.
    Summarized(ConversationSummarized),
    /// It began as a branch.
    Branched(ConversationBranched),
    /// It began elsewhere.
    Imported(ConversationImported),
    /// It is gone.
    Deleted(ConversationDeleted),
}

/// What a run can be woken by. Shown as the end of a dispatch row's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The run's time is up.
    Deadline(RunId),
    /// Nobody decided about a tool call.
    Approval(RunId, MessageId),
}

/// The id of a command: derived from its place in the run.
#[must_use]
pub fn command_id(run: RunId, step: u32, ordinal: u32, kind: &str) -> MessageId {
    MessageId::from(derive_id([
        b"command".as_slice(),
        run.0.as_bytes(),
        &step.to_be_bytes(),
        &ordinal.to_be_bytes(),
        kind.as_bytes(),
    ]))
}

/// The id of a message to whoever asked: one per request and kind.
#[must_use]
pub fn answer_id(run: RunId, kind: &str) -> MessageId {
    command_id(run, 0, 0, kind)
}
