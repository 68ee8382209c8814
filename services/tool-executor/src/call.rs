//! A command read, and how it ended written. Pure.

use nexus_contracts::events::{Event, ToolCompleted, ToolFailed, ToolRequested};
use nexus_contracts::tool::{Taint, WholeResult};
use nexus_contracts::{ContractError, Envelope, Extra, Metadata, OrgId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ToolError;

/// A command to run a tool.
#[derive(Clone, Debug)]
pub struct Call {
    /// The command's envelope.
    pub command: Envelope,
    /// The tenant.
    pub org: OrgId,
    /// What is asked.
    pub request: ToolRequested,
}

impl Call {
    /// Reads a command.
    ///
    /// # Errors
    /// Why it cannot be read: another event, a broken payload, or no organisation.
    pub fn read(command: Envelope) -> Result<Self, String> {
        let request = command.decode().map_err(|error| error.to_string())?;
        let org = command
            .metadata
            .org_id
            .ok_or("metadata.org_id is missing: whose call is it?")?;
        Ok(Self {
            command,
            org,
            request,
        })
    }

    /// Whether nobody waits for the result any more.
    #[must_use]
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.command
            .metadata
            .deadline
            .is_some_and(|deadline| now > deadline)
    }

    /// The result's envelope. The same call gives it the same id, however often it is made.
    ///
    /// # Errors
    /// When the event cannot be written.
    pub fn answer(&self, ended: &Ended, now: Timestamp) -> Result<Envelope, ContractError> {
        let (call_id, name) = (self.request.call_id.clone(), self.request.name.clone());
        let extra = Extra::new();
        match ended.clone() {
            Ended::Completed {
                result,
                whole,
                taint,
                duration_ms,
            } => {
                let event = ToolCompleted {
                    call_id,
                    name,
                    result,
                    whole,
                    taint,
                    duration_ms,
                    extra,
                };
                envelope(&self.command, &event, now)
            }
            Ended::Failed { code, detail } => {
                let event = ToolFailed {
                    call_id,
                    name,
                    code,
                    detail,
                    extra,
                };
                envelope(&self.command, &event, now)
            }
        }
    }
}

/// The failure that stands in for a command that could not be read: its call and tool are unknown,
/// its id is not.
///
/// # Errors
/// When the event cannot be written.
pub fn unreadable(
    command: &Envelope,
    reason: &str,
    now: Timestamp,
) -> Result<Envelope, ContractError> {
    let event = ToolFailed {
        call_id: String::new(),
        name: String::new(),
        code: "poisoned".to_owned(),
        detail: format!("the tool call was given up: {reason}"),
        extra: Extra::new(),
    };
    envelope(command, &event, now)
}

fn envelope<E: Event>(
    command: &Envelope,
    event: &E,
    now: Timestamp,
) -> Result<Envelope, ContractError> {
    let metadata = Metadata {
        causation_id: Some(command.id.clone()),
        ..command.metadata.clone()
    };
    let mut envelope = Envelope::new(command.id.result("tool"), now, event)?
        .correlated(command.correlation_id.clone())
        .with_metadata(metadata);
    envelope.traceparent.clone_from(&command.traceparent);
    Ok(envelope)
}

/// How a call ended, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// With a result.
    Completed {
        /// What the tool returned, or the beginning of its text.
        result: Value,
        /// Where the rest is.
        #[serde(default)]
        whole: Option<WholeResult>,
        /// What it brings into the conversation besides what the tool always brings.
        #[serde(default)]
        taint: Taint,
        /// How long it ran.
        duration_ms: u64,
    },
    /// Without one.
    Failed {
        /// One of the words in [`ToolFailed`].
        code: String,
        /// What happened, in words the model can act on.
        detail: String,
    },
}

impl Ended {
    /// Without a result.
    pub fn failed(code: &str, detail: impl Into<String>) -> Self {
        Self::Failed {
            code: code.to_owned(),
            detail: detail.into(),
        }
    }
}

impl From<ToolError> for Ended {
    fn from(error: ToolError) -> Self {
        Self::failed(error.code(), error.to_string())
    }
}
