//! What the core wants done.

use nexus_contracts::events::{
    InferenceRequested, MessageAccepted, MessageCompleted, MessageFailed, ToolRequested,
};
use nexus_contracts::{MessageId, RunId, Timestamp, derive_id};

use super::state::RunHeader;

/// One thing to do. Messages carry their id, so that doing it twice is recognised.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Tell the sender that the message is stored. Repeated whenever the message is.
    Accept {
        /// The run.
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
        /// The step, from 1.
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
    /// These commands need no answer any more.
    Settle {
        /// Their ids.
        commands: Vec<MessageId>,
    },
    /// Wake the run at its deadline.
    SetTimer {
        /// The run.
        run_id: RunId,
        /// The moment.
        at: Timestamp,
    },
    /// The run ended before its deadline.
    ClearTimer {
        /// The run.
        run_id: RunId,
    },
    /// Tell every worker to stop what it does for the run.
    Cancel {
        /// The run.
        run_id: RunId,
        /// After this moment nothing of it can still be going on.
        until: Timestamp,
    },
}

/// The id of a command: derived from its place in the run.
#[must_use]
pub fn command_id(run: RunId, step: u32, ordinal: u32, kind: &str) -> MessageId {
    MessageId::from(derive_id([
        b"command".as_slice(),
        run.0.as_bytes(),
        &0_u32.to_be_bytes(), // branch: the trunk
        &step.to_be_bytes(),
        &ordinal.to_be_bytes(),
        kind.as_bytes(),
        &1_u32.to_be_bytes(), // attempt: a command is never issued anew under another id
    ]))
}

/// The id of a message to whoever asked: one per run and kind.
#[must_use]
pub fn answer_id(run: RunId, kind: &str) -> MessageId {
    command_id(run, 0, 0, kind)
}
