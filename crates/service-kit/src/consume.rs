//! The consume loop: the one way a service works through a channel.
//!
//! Confirm, then ack; heartbeats for all that is buffered or worked on; one settling task that
//! settles many at once; and the rules for poison (see the crate's README).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_bus::{Entry, EntryId, Outgoing, Record};
use nexus_contracts::{ContractError, Envelope, FieldsContext, MessageId, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::Deps;

mod batches;
mod decide;
mod each;
mod leases;
mod looping;
mod measure;
mod read;
mod reply;
mod settle;

#[cfg(test)]
mod tests;

pub(crate) use reply::{REPLY_FIELD, REPLY_LIVE, decode as decode_reply, topic as reply_topic};

/// Which channel is worked through, as whom, and how much at once.
#[derive(Clone, Debug)]
pub struct ConsumerSpec {
    /// The channel.
    pub channel: String,
    /// The consumer group: the service's name.
    pub group: &'static str,
    /// How many messages at once; of a batch handler, how many in one batch.
    pub permits: usize,
    /// A message whose worker is silent for this long goes to another. Heartbeats keep it.
    pub lease: Duration,
    /// Tried more often than this, a message is a suspect and runs once more, alone.
    pub max_attempts: u32,
}

impl ConsumerSpec {
    /// 64 permits, a lease of 30 s, 5 attempts.
    #[must_use]
    pub fn new(channel: impl Into<String>, group: &'static str) -> Self {
        let lease = Duration::from_secs(30);
        Self {
            channel: channel.into(),
            group,
            permits: 64,
            lease,
            max_attempts: 5,
        }
    }
}

/// A message on its way through a handler.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it says.
    pub envelope: Envelope,
    /// Where it stands in its channel.
    pub entry_id: EntryId,
    /// The channel it came from.
    pub channel: String,
    /// When the bus stored it.
    pub stored_at: Timestamp,
    /// How often it was tried, this time included. Waiting is not counted.
    pub attempts: u32,
    /// Cancelled when another worker owns it now: stop, whatever comes out is dropped.
    pub lost: CancellationToken,
}

/// Why a message was not done. The closed set a handler chooses from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It failed; again after this long. Counts as an attempt.
    Retry {
        /// Not before this long.
        after: Duration,
        /// Why, for people.
        reason: String,
    },
    /// It could not be tried (a limit, a live lease elsewhere). Never counts.
    Wait {
        /// Not before this long.
        after: Duration,
        /// Why, for people.
        reason: String,
    },
    /// It will never work: parked in `<channel>.dead`.
    Reject {
        /// Why, for people.
        reason: String,
    },
    /// Nothing will work in this process: the node ends, the message stays where it is.
    Fatal {
        /// Why, for people.
        reason: String,
    },
}

impl Failure {
    /// [`Failure::Retry`].
    pub fn retry(after: Duration, reason: impl Into<String>) -> Self {
        Self::Retry {
            after,
            reason: reason.into(),
        }
    }

    /// [`Failure::Wait`].
    pub fn wait(after: Duration, reason: impl Into<String>) -> Self {
        Self::Wait {
            after,
            reason: reason.into(),
        }
    }

    /// [`Failure::Reject`].
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject {
            reason: reason.into(),
        }
    }

    /// [`Failure::Fatal`].
    pub fn fatal(reason: impl Into<String>) -> Self {
        Self::Fatal {
            reason: reason.into(),
        }
    }
}

/// What became of a message. `Ok`: store these records, then acknowledge.
pub type Outcome = Result<Vec<Outgoing>, Failure>;

/// Works on one message at a time, many of them side by side.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Works on a message. May be called again for the same one: at least once is the promise.
    /// A panic counts as [`Failure::Retry`].
    async fn handle(&self, message: Message) -> Outcome;

    /// What to tell whoever waits for a message that is being parked. The payload may be what
    /// kills its readers: leave it alone.
    fn on_dead(&self, _letter: &DeadLetter) -> Vec<Outgoing> {
        Vec::new()
    }
}

/// Works on many messages together, such as in one transaction.
#[async_trait]
pub trait BatchHandler: Send + Sync + 'static {
    /// Works on a batch; one outcome per message in the same order. A panic counts as
    /// [`Failure::Retry`] of all of them.
    async fn handle(&self, batch: Vec<Message>) -> Vec<Outcome>;

    /// As [`Handler::on_dead`].
    fn on_dead(&self, _letter: &DeadLetter) -> Vec<Outgoing> {
        Vec::new()
    }
}

/// A message that is being parked in `<channel>.dead`.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The channel it came from.
    pub channel: String,
    /// Its original bytes.
    pub record: Record,
    /// Its flat fields, where they can be read. The payload was not looked at.
    pub envelope: Option<Envelope>,
    /// Why, for people.
    pub reason: String,
    /// When the bus stored it.
    pub stored_at: Timestamp,
    /// `poisoned`, `rejected` or `undecodable`.
    pub code: &'static str,
}

/// Works through a channel, one task per message, up to `permits` at once. Returns at once; ends
/// with the node.
pub fn consume_each<H: Handler>(deps: &Deps, spec: ConsumerSpec, handler: Arc<H>) {
    deps.tasks
        .spawn("consume", each::run(deps.clone(), spec, handler));
}

/// Works through a channel in batches of up to `permits`. Returns at once; ends with the node.
///
/// One batch is worked on at a time, in order. Meanwhile the next one is read and grows, and the
/// outcomes of the one before are settled.
pub fn consume_batches<H: BatchHandler>(deps: &Deps, spec: ConsumerSpec, handler: Arc<H>) {
    deps.tasks
        .spawn("consume", batches::run(deps.clone(), spec, handler));
}

/// An envelope as a record for a channel.
#[must_use]
pub fn outgoing(channel: impl Into<String>, envelope: &Envelope) -> Outgoing {
    let fields = envelope.to_fields().unwrap_or_else(|error| {
        // Only metadata that came from elsewhere could refuse to be written, and none is known
        // that does. What the kit's readers need is kept, so that nothing is lost silently.
        tracing::error!(id = %envelope.id, %error, "metadata of an outgoing message was left out");
        let mut fields = vec![
            ("id".to_owned(), envelope.id.as_str().to_owned().into()),
            ("type".to_owned(), envelope.event_type.clone().into()),
            (
                "content_type".to_owned(),
                envelope.content_type.as_str().into(),
            ),
            ("payload".to_owned(), envelope.payload.clone()),
        ];
        fields.extend(
            envelope
                .correlation_id
                .iter()
                .map(|id| ("correlation_id".to_owned(), id.as_str().to_owned().into())),
        );
        fields
    });
    Outgoing {
        channel: channel.into(),
        record: Record::new(fields),
    }
}

/// An entry as an envelope, for those who read a channel without a group.
///
/// # Errors
/// When a flat field is missing or unreadable.
pub fn envelope_of(entry: &Entry, channel: &str) -> Result<Envelope, ContractError> {
    let stored_at = Timestamp::from_millis(entry.stored_at_ms);
    // The bus gives every record an id; this one only stands in for an unreadable one.
    let fallback = || MessageId::new(format!("{channel}:{}", entry.id));
    let fallback_id = match entry.record.text("id").map(MessageId::new) {
        Some(Ok(id)) => id,
        _ => fallback()?,
    };
    let context = FieldsContext {
        fallback_id,
        stored_at,
    };
    Envelope::from_fields(entry.record.clone().into_fields(), &context)
}
