//! What the orchestrator said about a message, read from its envelope.

use bytes::Bytes;
use nexus_contracts::events::{MessageAccepted, MessageCompleted, MessageFailed};
use nexus_contracts::{ContractError, Envelope, Event, MessageId, OrgId, RunId, channels};

use crate::outbox::{Key, Kind};

/// The name of this adapter on the bus.
pub const ADAPTER: &str = "api";

/// The run that a message of this adapter starts.
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

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an answer.
    Completed,
    /// Without one.
    Failed,
}

impl Ending {
    /// The word in the store and in `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "completed" => Some(Self::Completed),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// The end of a run, as it is kept.
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
    /// The run it is about.
    pub run: RunId,
    /// The answer's own id; receipts name it.
    pub id: MessageId,
    /// The event it answers, where that is known.
    pub of: Option<Kind>,
    /// The end of the run, unless it was only accepted.
    pub last: Option<Final>,
    /// Whether its publisher repeats it until it is confirmed.
    pub wants_receipt: bool,
}

impl Answer {
    /// The events of the outbox that need not be published any more.
    #[must_use]
    pub fn settles(&self) -> Vec<Key> {
        let key = |kind| Key {
            org: self.org,
            run: self.run,
            kind,
        };
        match (&self.last, self.of) {
            (Some(_), _) => vec![key(Kind::Message), key(Kind::Cancel)],
            (None, Some(kind)) => vec![key(kind)],
            (None, None) => vec![key(Kind::Message)],
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

/// Reads an answer.
///
/// # Errors
/// [`Unusable`] when it is none, or about nothing that can be named.
pub fn read(envelope: &Envelope) -> Result<Answer, Unusable> {
    let org = envelope.metadata.org_id.ok_or(Unusable::NoOrganisation)?;
    let cause = envelope.metadata.causation_id.as_ref();
    let mut is_refusal = false;
    let (named, last) = match envelope.event_type.as_str() {
        MessageAccepted::TYPE => (Some(envelope.decode::<MessageAccepted>()?.run_id), None),
        MessageCompleted::TYPE => {
            let event: MessageCompleted = envelope.decode()?;
            (Some(event.run_id), Some(kept(Ending::Completed, &event)?))
        }
        MessageFailed::TYPE => {
            let event: MessageFailed = envelope.decode()?;
            is_refusal = event.code != "cancelled";
            (event.run_id, Some(kept(Ending::Failed, &event)?))
        }
        other => return Err(Unusable::NotAnAnswer(other.to_owned())),
    };
    let named = named.or(envelope.metadata.run_id);
    let run = named
        .or_else(|| cause.map(|id| run_of(org, id)))
        .ok_or(Unusable::NoRun)?;
    let of = cause.and_then(|id| kind_of(org, run, id));
    // A wish to cancel that is refused (the run had ended already) does not end the run.
    let last = last.filter(|_| !(is_refusal && of == Some(Kind::Cancel)));
    let wants_receipt = envelope.event_type != MessageAccepted::TYPE;
    Ok(Answer {
        org,
        run,
        id: envelope.id.clone(),
        of,
        last,
        wants_receipt,
    })
}

fn kind_of(org: OrgId, run: RunId, cause: &MessageId) -> Option<Kind> {
    if *cause == cancel_id(org, run) {
        Some(Kind::Cancel)
    } else {
        (run_of(org, cause) == run).then_some(Kind::Message)
    }
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
