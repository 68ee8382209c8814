//! A command as it came, and the result that answers it.

use std::time::Duration;

use nexus_bus::Outgoing;
use nexus_contracts::channels::{INFERENCE_LOCAL, INFERENCE_LOCAL_RESULTS};
use nexus_contracts::events::{
    EmbeddingCompleted, EmbeddingFailed, EmbeddingRequested, Event, InferenceCompleted,
    InferenceFailed, InferenceRequested,
};
use nexus_contracts::{
    ContractError, ConversationId, Envelope, Extra, MessageId, Metadata, OrgId, RunId, Timestamp,
};
use nexus_service_kit::outgoing;

use crate::engine::Refusal;

/// What a command is told apart by, besides what it asks.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its id.
    pub id: MessageId,
    /// The tenant.
    pub org: OrgId,
    /// The conversation it is about: what is erased with it.
    pub conversation: Option<ConversationId>,
    /// The run it is made for.
    pub run: Option<RunId>,
    /// The run it is itself: what the router hears it on, and may cancel.
    pub call: RunId,
    /// The step of the run, counted from 1.
    pub step: u32,
    /// After this moment it is refused.
    pub deadline: Timestamp,
    /// What it asks.
    pub asked: Asked,
}

/// What a command asks.
#[derive(Clone, Debug)]
pub enum Asked {
    /// An answer.
    Answer(Box<InferenceRequested>),
    /// Vectors.
    Vectors(EmbeddingRequested),
}

impl Asked {
    /// The model it names.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Answer(asked) => asked.model.as_deref(),
            Self::Vectors(asked) => asked.model.as_deref(),
        }
    }

    /// The provider it names: how the router calls its workers.
    #[must_use]
    pub fn provider(&self) -> &str {
        let named = match self {
            Self::Answer(asked) => &asked.provider,
            Self::Vectors(asked) => &asked.provider,
        };
        named.as_deref().unwrap_or("local")
    }
}

/// Why an envelope is no command this service can carry out. Permanent.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is not readable, or another event.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// It does not say whose it is.
    #[error("`metadata.org_id` is missing; every command belongs to an organisation")]
    NoOrganisation,
}

impl Command {
    /// Reads an envelope; one that names no deadline has `timeout` from now on.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn read(
        envelope: &Envelope,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<Self, CommandError> {
        let asked = if envelope.event_type == EmbeddingRequested::TYPE {
            Asked::Vectors(envelope.decode()?)
        } else {
            Asked::Answer(Box::new(envelope.decode()?))
        };
        let metadata = &envelope.metadata;
        let org = metadata.org_id.ok_or(CommandError::NoOrganisation)?;
        let timeout = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        Ok(Self {
            id: envelope.id.clone(),
            org,
            conversation: metadata.conversation_id,
            run: metadata.run_id,
            call: RunId::of(org, INFERENCE_LOCAL, &envelope.id),
            step: metadata.step.unwrap_or(1),
            deadline: metadata
                .deadline
                .unwrap_or_else(|| now.plus_millis(timeout)),
            asked,
        })
    }
}

/// Why a command has no answer, in the words of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// A stable word.
    pub code: &'static str,
    /// What happened and what to do.
    pub detail: String,
}

impl Failed {
    /// With this code.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }

    /// Whether asking again may help. Such a failure is not kept.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.code == "provider_failed"
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::BadRequest(_) => "bad_request",
            Refusal::Unsupported(_) => "unsupported",
            Refusal::Failed(_) => "provider_failed",
        };
        Self::new(code, refusal.to_string())
    }
}

/// What answers a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The model answered.
    Completed(Box<InferenceCompleted>),
    /// The vectors.
    Embedded(EmbeddingCompleted),
    /// Neither.
    Failed(Failed),
}

impl Reply {
    /// The record that carries it. Its id follows from the command's, so that every repetition
    /// has the same one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&self, command: &Envelope, now: Timestamp) -> Result<Outgoing, ContractError> {
        match self {
            Self::Completed(completed) => record(command, now, completed.as_ref()),
            Self::Embedded(embedded) => record(command, now, embedded),
            Self::Failed(failed) if command.event_type == EmbeddingRequested::TYPE => {
                let event = EmbeddingFailed {
                    code: failed.code.to_owned(),
                    detail: failed.detail.clone(),
                    retryable: failed.is_transient(),
                    provider: None,
                    extra: Extra::new(),
                };
                record(command, now, &event)
            }
            Self::Failed(failed) => {
                let event = InferenceFailed {
                    code: failed.code.to_owned(),
                    detail: failed.detail.clone(),
                    retryable: failed.is_transient(),
                    provider: None,
                    extra: Extra::new(),
                };
                record(command, now, &event)
            }
        }
    }
}

fn record<E: Event>(
    command: &Envelope,
    now: Timestamp,
    event: &E,
) -> Result<Outgoing, ContractError> {
    let metadata = Metadata {
        causation_id: Some(command.id.clone()),
        ..command.metadata.clone()
    };
    let mut envelope = Envelope::new(command.id.result("inference"), now, event)?
        .correlated(command.correlation_id.clone())
        .with_metadata(metadata);
    envelope.traceparent.clone_from(&command.traceparent);
    Ok(outgoing(INFERENCE_LOCAL_RESULTS, &envelope))
}
