//! What can happen to a conversation, and what the core is told besides.

use std::collections::BTreeMap;

use nexus_contracts::chat::ToolSpec;
use nexus_contracts::events::{InferenceCompleted, InferenceFailed, MessageSubmitted};
use nexus_contracts::{MessageId, RunId, Timestamp};

use super::state::RunHeader;

/// A message someone sent, with the run it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The run that will answer it.
    pub header: RunHeader,
    /// The message.
    pub message: MessageSubmitted,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Someone sent a message.
    Submitted(Box<Submission>),
    /// Someone no longer wants the answer.
    Cancelled {
        /// The run to end.
        run_id: RunId,
    },
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
    },
    /// A run's deadline passed.
    DeadlinePassed {
        /// The run.
        run_id: RunId,
    },
}

/// What bounds a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most model calls of a run.
    pub max_steps: u32,
    /// Most tool calls of one step; the rest are refused in words the model can act on.
    pub max_parallel_tools: usize,
    /// Longest time from the start of a run to its end, in milliseconds.
    pub run_timeout_ms: i64,
    /// Most messages waiting behind a running one.
    pub max_queued: usize,
    /// Most past messages a model gets to see.
    pub max_context_messages: usize,
}

/// What the core is told besides state and event.
#[derive(Clone, Copy, Debug)]
pub struct Ctx<'a> {
    /// Now.
    pub now: Timestamp,
    /// The bounds.
    pub limits: &'a Limits,
    /// The tools there are.
    pub tools: &'a BTreeMap<String, ToolSpec>,
    /// The operator's instructions to the model; none when empty.
    pub system_prompt: &'a str,
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
