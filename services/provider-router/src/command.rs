//! A command as it came, what it asks, and the result that answers it.

use std::time::Duration;

use nexus_bus::Outgoing;
use nexus_contracts::events::{
    EmbeddingCompleted, EmbeddingFailed, EmbeddingRequested, Event, InferenceCompleted,
    InferenceFailed, InferenceRequested, Purpose,
};
use nexus_contracts::settings::Caching;
use nexus_contracts::{
    ContractError, ConversationId, Envelope, Extra, MessageId, Metadata, OrgId, Timestamp, channels,
};
use nexus_service_kit::outgoing;

use crate::provider::{Origin, ProviderFailure};
use crate::registry::models::Task;

/// What a command is told apart by, besides what it asks.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its id.
    pub id: MessageId,
    /// The tenant.
    pub org: OrgId,
    /// The conversation it is about: what is erased with it.
    pub conversation: Option<ConversationId>,
    /// After this moment it is refused.
    pub deadline: Timestamp,
    /// Whose it is, for whoever carries a part of it out.
    pub origin: Origin,
}

/// What a command asks.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// That a model answers.
    Answer(Box<InferenceRequested>),
    /// That texts become vectors.
    Vectors(EmbeddingRequested),
}

impl Wanted {
    /// What the answer is for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        match self {
            Self::Answer(asked) => asked.purpose,
            Self::Vectors(_) => Purpose::Answer,
        }
    }

    /// What kind of call it takes.
    #[must_use]
    pub const fn task(&self) -> Task {
        match self {
            Self::Answer(_) => Task::Chat,
            Self::Vectors(_) => Task::Embed,
        }
    }

    /// It is carried out again. Whoever makes the vectors to look an answer up may be the one whose
    /// limits it had to wait for: looking up by meaning once more would use up what it waited for.
    pub fn again(&mut self) {
        if let Self::Answer(asked) = self
            && asked.cache == Caching::Semantic
        {
            asked.cache = Caching::Exact;
        }
    }

    /// Whether nothing of it is for people's ears.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        match self {
            Self::Answer(asked) => asked.quiet,
            Self::Vectors(_) => true,
        }
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
    /// What is drawn by where chance decides: the same for all of a conversation.
    #[must_use]
    pub fn seed(&self) -> String {
        match self.conversation {
            Some(conversation) => conversation.to_string(),
            None => self.id.as_str().to_owned(),
        }
    }

    /// Reads an envelope; one that names no deadline has `timeout` from now on.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn read(
        envelope: &Envelope,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<(Self, Wanted), CommandError> {
        let wanted = if envelope.event_type == EmbeddingRequested::TYPE {
            Wanted::Vectors(envelope.decode()?)
        } else {
            Wanted::Answer(Box::new(envelope.decode()?))
        };
        let org = envelope
            .metadata
            .org_id
            .ok_or(CommandError::NoOrganisation)?;
        let timeout = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let deadline = envelope
            .metadata
            .deadline
            .unwrap_or_else(|| now.plus_millis(timeout));
        let command = Self {
            id: envelope.id.clone(),
            org,
            conversation: envelope.metadata.conversation_id,
            deadline,
            origin: Origin {
                metadata: Metadata {
                    deadline: Some(deadline),
                    ..envelope.metadata.clone()
                },
                correlation_id: envelope.correlation_id.clone(),
                traceparent: envelope.traceparent.clone(),
            },
        };
        Ok((command, wanted))
    }
}

/// What answers a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The model answered.
    Completed(Box<InferenceCompleted>),
    /// The texts became vectors.
    Embedded(Box<EmbeddingCompleted>),
    /// There is neither; told in the words of what was asked.
    Failed(InferenceFailed),
}

impl Reply {
    /// The failure of a provider, in the words of the contract.
    #[must_use]
    pub fn failed(failure: &ProviderFailure, provider: Option<&str>) -> Self {
        Self::Failed(InferenceFailed {
            code: failure.class.code().to_owned(),
            detail: failure.detail.clone(),
            retryable: failure.class.is_transient(),
            provider: provider.map(str::to_owned),
            extra: Extra::new(),
        })
    }

    /// The record that carries it. Its id follows from the command's, so that every repetition
    /// has the same one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&self, command: &Envelope, now: Timestamp) -> Result<Outgoing, ContractError> {
        match self {
            Self::Completed(completed) => record(command, now, completed.as_ref()),
            Self::Embedded(embedded) => record(command, now, embedded.as_ref()),
            Self::Failed(failed) if command.event_type == EmbeddingRequested::TYPE => {
                record(command, now, &of_vectors(failed.clone()))
            }
            Self::Failed(failed) => record(command, now, failed),
        }
    }
}

/// The same failure, of vectors.
fn of_vectors(failed: InferenceFailed) -> EmbeddingFailed {
    EmbeddingFailed {
        code: failed.code,
        detail: failed.detail,
        retryable: failed.retryable,
        provider: failed.provider,
        extra: failed.extra,
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
    let kind = if E::CHANNEL == channels::EMBEDDING_RESPONSE {
        "embedding"
    } else {
        "inference"
    };
    let mut envelope = Envelope::new(command.id.result(kind), now, event)?
        .correlated(command.correlation_id.clone())
        .with_metadata(metadata);
    envelope.traceparent.clone_from(&command.traceparent);
    Ok(outgoing(E::CHANNEL, &envelope))
}
