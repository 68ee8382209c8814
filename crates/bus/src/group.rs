//! Consumer groups: leased deliveries and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{BusError, Entry, Outgoing, Record};

/// Who reads which channel, and how long a delivery may stay silent.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    /// The channel.
    pub channel: String,
    /// The group: each entry is worked on by one consumer of it.
    pub group: String,
    /// This consumer; unique per process start.
    pub consumer: String,
    /// A delivery that is neither settled nor extended for this long is handed to another.
    pub lease: Duration,
    /// Most deliveries all replicas of the group together may hold (NATS needs to be told).
    pub max_in_flight: usize,
}

/// Names one delivery towards the backend that made it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub String);

/// An entry handed to this consumer.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The entry.
    pub entry: Entry,
    /// How often it was tried, this time included, from 1. Waiting is not counted.
    pub attempts: u32,
    /// The delivery.
    pub token: LeaseToken,
}

/// The receiving half. One per read loop; owns its connection, because a blocking read owns one.
#[async_trait]
pub trait GroupReader: Send {
    /// Up to `max` entries: due retries first, then what dead consumers left, then new ones. Waits
    /// up to `wait` when there are none. Cancel-safe only between calls: a cancelled call may
    /// leave entries leased until their lease ends.
    ///
    /// # Errors
    /// Transient errors leave the reader usable; call again.
    async fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Leased>, BusError>;
}

/// The settling half; shared by all handlers of a loop.
#[async_trait]
pub trait GroupSettler: Send + Sync {
    /// Settles each; one result per settlement in the same order. The outgoing records of an
    /// acknowledged delivery are stored before it is acknowledged, in one transaction where the
    /// backend has one. A failed one may be settled again.
    async fn settle(&self, batch: &[Settlement]) -> Vec<Result<(), BusError>>;

    /// Keeps deliveries alive for another lease; returns those this consumer no longer owns.
    ///
    /// # Errors
    /// When the backend cannot be reached; the leases run on meanwhile.
    async fn extend(&self, tokens: &[LeaseToken]) -> Result<Vec<LeaseToken>, BusError>;
}

/// A group joined: both halves.
pub struct Group {
    /// Receives.
    pub reader: Box<dyn GroupReader>,
    /// Settles.
    pub settler: Arc<dyn GroupSettler>,
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Done.
    Ack,
    /// It failed; again after this long. Counts as an attempt.
    Retry {
        /// Not before this long.
        after: Duration,
    },
    /// It could not be tried yet; again after this long. Does not count as an attempt.
    Wait {
        /// Not before this long.
        after: Duration,
    },
    /// It will never work: moved to `<channel>.dead` with its original bytes and this reason.
    Dead {
        /// Why, for people.
        reason: String,
    },
}

/// A decision about one delivery, ready to be carried out.
#[derive(Clone, Debug)]
#[must_use = "a delivery that is not settled comes back"]
pub struct Settlement {
    /// The delivery.
    pub leased: Leased,
    /// What becomes of it.
    pub action: Action,
    /// What is stored before it is acknowledged or buried.
    pub publish: Vec<Outgoing>,
}

/// One delivery. Consumed by exactly one decision, so that a second one does not compile.
#[derive(Debug)]
#[must_use = "a delivery that is not settled comes back"]
pub struct Delivery {
    leased: Leased,
}

impl Delivery {
    /// A delivery of what a reader returned.
    pub const fn new(leased: Leased) -> Self {
        Self { leased }
    }

    /// The entry.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.leased.entry
    }

    /// How often it was tried, this time included.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.leased.attempts
    }

    /// Names this delivery when extending its lease.
    #[must_use]
    pub const fn token(&self) -> &LeaseToken {
        &self.leased.token
    }

    /// Done; `publish` is stored first.
    pub fn ack(self, publish: Vec<Outgoing>) -> Settlement {
        Settlement {
            leased: self.leased,
            action: Action::Ack,
            publish,
        }
    }

    /// Failed; again after `after`.
    pub fn retry(self, after: Duration) -> Settlement {
        self.settle(Action::Retry { after })
    }

    /// Not tried; again after `after`.
    pub fn wait(self, after: Duration) -> Settlement {
        self.settle(Action::Wait { after })
    }

    /// Buried; `publish` tells whoever waits.
    pub fn dead(self, reason: impl Into<String>, publish: Vec<Outgoing>) -> Settlement {
        let action = Action::Dead {
            reason: reason.into(),
        };
        Settlement {
            leased: self.leased,
            action,
            publish,
        }
    }

    fn settle(self, action: Action) -> Settlement {
        Settlement {
            leased: self.leased,
            action,
            publish: Vec::new(),
        }
    }
}

/// Where a channel's dead letters go.
#[must_use]
pub fn dead_channel(channel: &str) -> String {
    format!("{channel}.dead")
}

/// What is stored for a buried delivery: its fields as they were, its `id` among them, and where
/// it came from. The names are the same on every backend.
pub(crate) fn dead_record(
    settlement: &Settlement,
    channel: &str,
    group: &str,
    at_ms: i64,
) -> Record {
    let reason = match &settlement.action {
        Action::Dead { reason } => one_line(reason),
        Action::Ack | Action::Retry { .. } | Action::Wait { .. } => String::new(),
    };
    let leased = &settlement.leased;
    let mut record = leased.entry.record.clone();
    record.set("dead_reason", reason);
    record.set("dead_channel", channel.to_owned());
    record.set("dead_group", group.to_owned());
    record.set("dead_entry_id", leased.entry.id.to_string());
    record.set("dead_attempts", leased.attempts.to_string());
    record.set("dead_at", at_ms.to_string());
    record
}

/// Field values carry no line breaks or other control characters.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
