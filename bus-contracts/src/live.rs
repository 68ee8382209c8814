//! What a run reports while it goes on: lossy by design, resumable for minutes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;

/// One report on the live stream `run:<run_id>`.
///
/// A reader shows text by this rule alone: `delta` appends, `snapshot` replaces, both within their
/// `step`; `completed` carries the whole final text, equal to what the deltas of the last step add
/// up to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LiveEvent {
    /// More text of the model's answer.
    Delta {
        /// The step of the run that speaks, counted from 1.
        step: u32,
        /// Text to append.
        text: String,
    },
    /// The whole text of the step so far; sent when a model call starts over and every few seconds.
    Snapshot {
        /// The step of the run that speaks, counted from 1.
        step: u32,
        /// Text that replaces what was shown of this step.
        text: String,
    },
    /// What the run is doing now, in one word: `thinking`, `calling_tools`.
    Status {
        /// The step of the run, counted from 1.
        step: u32,
        /// The word.
        status: String,
    },
    /// A tool call started or ended.
    Tool {
        /// The step of the run, counted from 1.
        step: u32,
        /// The model's name for the call.
        call_id: String,
        /// The tool.
        name: String,
        /// `started`, `completed` or `failed`.
        status: String,
        /// Arguments when it starts, result or error when it ends.
        #[serde(default)]
        detail: Value,
    },
    /// A tool call waits for a person; the payload of `approval.requested`.
    Approval {
        /// The step of the run, counted from 1.
        step: u32,
        /// The payload.
        request: Value,
    },
    /// The run ended with an answer; the payload of `message.completed`.
    Completed {
        /// The payload.
        message: Value,
    },
    /// The run ended without one; the payload of `message.failed`.
    Failed {
        /// The payload.
        message: Value,
    },
}

impl LiveEvent {
    /// Whether nothing comes after it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Failed { .. })
    }

    /// The word in `kind`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Delta { .. } => "delta",
            Self::Snapshot { .. } => "snapshot",
            Self::Status { .. } => "status",
            Self::Tool { .. } => "tool",
            Self::Approval { .. } => "approval",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Value of the table `runs.cancelled`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// When it was cancelled.
    pub at: Timestamp,
    /// After this moment nothing of the run can still be going on, and the entry may go.
    pub until: Timestamp,
}
