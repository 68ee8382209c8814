//! What the orchestrator said, read from its envelope. Pure.

use bytes::Bytes;
use nexus_contracts::events::{
    ApprovalRequested, MessageAccepted, MessageCompleted, MessageFailed,
};
use nexus_contracts::{
    ContractError, Envelope, Event, MessageId, OrgId, RunId, Timestamp, channels,
};

use crate::outbox::Key;

/// The name of this adapter on the bus.
pub const ADAPTER: &str = "api";

/// The run that a message of this adapter starts, or would start: every message is known by it.
#[must_use]
pub fn run_of(org: OrgId, message: &MessageId) -> RunId {
    RunId::of(org, &channels::incoming(ADAPTER), message)
}

/// The id of the wish to cancel a run: the same however often it is wished.
#[must_use]
pub fn cancel_id(org: OrgId, run: RunId) -> MessageId {
    let parts = [b"cancel".as_slice(), org.0.as_bytes(), run.0.as_bytes()];
    MessageId::from(nexus_contracts::derive_id(parts))
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was taken. The end only of what starts no run.
    Accepted,
    /// Its run ended with an answer.
    Completed,
    /// It was refused, or its run ended without an answer.
    Failed,
}

impl Ending {
    /// The word in the store and in `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "accepted" => Some(Self::Accepted),
            "completed" => Some(Self::Completed),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// What became of a message, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Final {
    /// How it ended.
    pub ending: Ending,
    /// The event, as JSON.
    pub payload: Bytes,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The organisation.
    pub org: OrgId,
    /// The message it answers, by the run that one starts or would start.
    pub run: RunId,
    /// The answer's own id; receipts name it.
    pub id: MessageId,
    /// What it says.
    pub says: Final,
}

/// A tool call that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The organisation.
    pub org: OrgId,
    /// The event's own id; receipts name it.
    pub id: MessageId,
    /// When it was asked.
    pub at: Timestamp,
    /// What is asked.
    pub request: ApprovalRequested,
}

/// What the orchestrator said.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// What became of a message.
    Answer(Answer),
    /// A person is asked.
    Asked(Box<Asked>),
}

impl Heard {
    /// The organisation.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        match self {
            Self::Answer(answer) => answer.org,
            Self::Asked(asked) => asked.org,
        }
    }

    /// The run there is news of.
    #[must_use]
    pub const fn run(&self) -> RunId {
        match self {
            Self::Answer(answer) => answer.run,
            Self::Asked(asked) => asked.request.run_id,
        }
    }

    /// The message that is not published any more because of this.
    #[must_use]
    pub const fn settles(&self) -> Option<Key> {
        match self {
            Self::Answer(Answer { org, run, .. }) => Some(Key {
                org: *org,
                run: *run,
            }),
            Self::Asked(_) => None,
        }
    }

    /// Its id, where its publisher repeats it until it is confirmed.
    #[must_use]
    pub fn wants_receipt(&self) -> Option<&MessageId> {
        match self {
            Self::Answer(answer) if answer.says.ending == Ending::Accepted => None,
            Self::Answer(answer) => Some(&answer.id),
            Self::Asked(asked) => Some(&asked.id),
        }
    }
}

/// Why an answer cannot be used. Permanent: the same bytes fail again.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The envelope does not read.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// It could belong to anyone.
    #[error("the answer names no organisation in `metadata.org_id`")]
    NoOrganisation,
    /// It could be about anything.
    #[error("the answer names neither `run_id` nor `metadata.causation_id`")]
    NoRun,
    /// Another event strayed into the channel.
    #[error("`{0}` is not an answer to a message")]
    NotAnAnswer(String),
}

/// Reads what the orchestrator said.
///
/// # Errors
/// [`Unusable`] when it is nothing for this adapter, or about nothing that can be named.
pub fn read(envelope: &Envelope) -> Result<Heard, Unusable> {
    let org = envelope.metadata.org_id.ok_or(Unusable::NoOrganisation)?;
    let (named, says) = match envelope.event_type.as_str() {
        MessageAccepted::TYPE => {
            let event: MessageAccepted = envelope.decode()?;
            (Some(event.run_id), kept(Ending::Accepted, &event)?)
        }
        MessageCompleted::TYPE => {
            let event: MessageCompleted = envelope.decode()?;
            (Some(event.run_id), kept(Ending::Completed, &event)?)
        }
        MessageFailed::TYPE => {
            let event: MessageFailed = envelope.decode()?;
            (event.run_id, kept(Ending::Failed, &event)?)
        }
        ApprovalRequested::TYPE => {
            return Ok(Heard::Asked(Box::new(Asked {
                org,
                id: envelope.id.clone(),
                at: envelope.timestamp,
                request: envelope.decode()?,
            })));
        }
        other => return Err(Unusable::NotAnAnswer(other.to_owned())),
    };
    // The cause is what is answered: a refused decision names the run it was about, which goes on.
    let cause = envelope.metadata.causation_id.as_ref();
    let run = cause.map(|id| run_of(org, id)).or(named);
    Ok(Heard::Answer(Answer {
        org,
        run: run.or(envelope.metadata.run_id).ok_or(Unusable::NoRun)?,
        id: envelope.id.clone(),
        says,
    }))
}

fn kept<E: Event>(ending: Ending, event: &E) -> Result<Final, ContractError> {
    let payload = serde_json::to_vec(event).map_err(|error| ContractError::Encode {
        event: E::TYPE,
        reason: error.to_string(),
    })?;
    Ok(Final {
        ending,
        payload: payload.into(),
    })
}
