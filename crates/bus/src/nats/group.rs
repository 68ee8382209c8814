//! Groups as durable pull consumers, and their receiving half.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Message;
use async_trait::async_trait;
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::group::GroupReader;
use crate::nats::fields;
use crate::nats::keeper;
use crate::nats::lease::{Delivered, Leases};
use crate::nats::link::Link;
use crate::nats::names::Names;
use crate::nats::pull::{End, Puller};
use crate::nats::settle::Settler;
use crate::nats::stream::{Channels, ConsumerInfo, consumer_info};
use crate::nats::waits;
use crate::{BusError, Entry, EntryId, Group, GroupSpec, LeaseToken, Leased};

/// What a consumer may hold beyond what its replicas work on: an entry that waits for its time
/// counts as unacknowledged, and many of them must not starve the group.
const ROOM_FOR_DELAYED: u64 = 65_536;

/// Pause after the server turned a pull away.
const BUSY: Duration = Duration::from_millis(10);

/// What both halves of a group share.
pub(super) struct Membership {
    pub(super) link: Arc<Link>,
    pub(super) channels: Arc<Channels>,
    pub(super) spec: GroupSpec,
    pub(super) stream: String,
    pub(super) consumer: String,
    pub(super) leases: Leases,
    /// What the server takes for a lease in this group, in nanoseconds: the shortest any member
    /// asked for. Longer ones are kept alive by [`keeper`].
    pub(super) server_lease: AtomicU64,
}

impl Membership {
    /// This member's lease in nanoseconds.
    pub(super) fn own_lease(&self) -> u64 {
        u64::try_from(self.spec.lease.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Makes the stream and the consumer, or brings its settings up to this member's.
    async fn join(&self) -> Result<(), BusError> {
        self.channels.ensure(&self.link, &self.spec.channel).await?;
        let mut lease = self.own_lease();
        let wanted = u64::try_from(self.spec.max_in_flight).unwrap_or(u64::MAX);
        let mut room = wanted.saturating_add(ROOM_FOR_DELAYED);
        let found = consumer_info(&self.link, &self.stream, &self.consumer).await?;
        if let Some(info) = &found {
            let there = info.config.max_ack_pending.unwrap_or_default();
            lease = lease.min(info.config.ack_wait.unwrap_or(lease));
            room = room.max(there);
        }
        self.server_lease.store(lease, Ordering::Relaxed);
        let is_set = |info: &ConsumerInfo| {
            info.config.ack_wait == Some(lease) && info.config.max_ack_pending == Some(room)
        };
        if found.as_ref().is_some_and(is_set) {
            return Ok(());
        }
        let settings = json!({
            "stream_name": self.stream,
            "config": {
                "durable_name": self.consumer,
                "deliver_policy": "all",
                "ack_policy": "explicit",
                "replay_policy": "instant",
                "ack_wait": lease,
                "max_deliver": -1,
                "max_ack_pending": room,
            },
        });
        let call = format!("CONSUMER.DURABLE.CREATE.{}.{}", self.stream, self.consumer);
        self.link.api::<Value>(&call, &settings).await?;
        Ok(())
    }

    /// As `join`, when the consumer turned out to be gone: the stream may be gone as well.
    async fn rejoin(&self) -> Result<(), BusError> {
        self.channels.forget(&self.spec.channel);
        self.join().await
    }
}

/// Joins a group.
pub(super) async fn join(
    link: &Arc<Link>,
    channels: &Arc<Channels>,
    spec: GroupSpec,
) -> Result<Group, BusError> {
    let membership = Arc::new(Membership {
        link: Arc::clone(link),
        channels: Arc::clone(channels),
        stream: link.names.stream(&spec.channel),
        consumer: Names::consumer(&spec.group),
        leases: Leases::new(spec.lease),
        server_lease: AtomicU64::default(),
        spec,
    });
    membership.rejoin().await?;
    keeper::start(&membership);
    let puller = Puller::new(link).await?;
    let reader = Reader {
        membership: Arc::clone(&membership),
        puller,
    };
    Ok(Group {
        reader: Box::new(reader),
        settler: Arc::new(Settler::new(membership)),
    })
}

struct Reader {
    membership: Arc<Membership>,
    puller: Puller,
}

#[async_trait]
impl GroupReader for Reader {
    async fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Leased>, BusError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let membership = Arc::clone(&self.membership);
        let target = (membership.stream.as_str(), membership.consumer.as_str());
        let lease = Duration::from_nanos(membership.server_lease.load(Ordering::Relaxed));
        let wait = off_beat(wait, lease);
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let pulled = self
                .puller
                .pull(&membership.link, target, max, left)
                .await?;
            // Entries whose lease ended before they were handed out fall due again.
            if !pulled.messages.is_empty() && membership.leases.covers(pulled.since) {
                return self.lease(pulled.messages, pulled.since).await;
            }
            match pulled.end {
                End::Closed => return Ok(Vec::new()),
                End::Gone => {
                    tracing::warn!(
                        channel = %membership.spec.channel,
                        group = %membership.spec.group,
                        "the group is gone from the server and is made again from the beginning"
                    );
                    membership.rejoin().await?;
                }
                End::Busy => {}
            }
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
            tokio::time::sleep(BUSY.min(left)).await;
        }
    }
}

/// The longest wait up to this one that does not end when a lease does. A server before 2.10.20
/// that takes up an entry again in the moment the pull ends loses it for another lease and counts
/// the attempt; a reader that asks in even parts of a lease would meet that moment every time.
fn off_beat(wait: Duration, lease: Duration) -> Duration {
    let (waits, lease) = (wait.as_secs_f64(), lease.as_secs_f64());
    if waits <= 0.0 || lease <= 0.0 {
        return wait;
    }
    let parts = (lease / waits - 0.5).ceil().max(0.0) + 0.5;
    wait.min(Duration::try_from_secs_f64(lease / parts).unwrap_or(wait))
}

impl Reader {
    /// Messages as leased entries, held from this moment on.
    async fn lease(&self, messages: Vec<Message>, from: Instant) -> Result<Vec<Leased>, BusError> {
        let Membership {
            link, spec, leases, ..
        } = &*self.membership;
        let deliveries = messages
            .iter()
            .map(Delivered::of)
            .collect::<Result<Vec<Delivered>, BusError>>()?;
        let look_ups = deliveries
            .iter()
            .map(|delivered| waits::look_up(link, &spec.channel, &spec.group, *delivered));
        let waited = try_join_all(look_ups).await?;
        let mut leased = Vec::with_capacity(messages.len());
        for ((message, delivered), waited) in messages.into_iter().zip(deliveries).zip(waited) {
            let token = LeaseToken(message.reply.as_deref().unwrap_or_default().to_owned());
            leases.begin(token.clone(), from, waited, delivered);
            let attempts = delivered.times.saturating_sub(waited.times).max(1);
            let entry = Entry {
                id: EntryId::new(delivered.sequence, 0),
                stored_at_ms: delivered.stored_ns / 1_000_000,
                record: fields::decode(message.headers.as_ref(), message.payload),
            };
            leased.push(Leased {
                entry,
                attempts,
                token,
            });
        }
        self.name(&mut leased).await?;
        Ok(leased)
    }

    /// Gives an id to records without one. Asks for the incarnation every time: the stream may
    /// have been made anew by another, and such records are rare.
    async fn name(&self, leased: &mut [Leased]) -> Result<(), BusError> {
        let named = |one: &Leased| one.entry.record.get("id").is_some_and(|id| !id.is_empty());
        if leased.iter().all(named) {
            return Ok(());
        }
        let Membership {
            link,
            channels,
            spec,
            ..
        } = &*self.membership;
        let incarnation = channels.incarnation(link, &spec.channel).await?;
        for one in leased {
            one.entry
                .record
                .ensure_id(&spec.channel, &incarnation, one.entry.id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_between_the_ends_of_leases() {
        for (wait, lease) in [
            (1, 1),
            (5, 30),
            (2, 30),
            (60, 60),
            (60, 1),
            (7, 30),
            (1, 600),
        ] {
            let (wait, lease) = (Duration::from_secs(wait), Duration::from_secs(lease));
            let part = off_beat(wait, lease);
            let beat = (lease.as_secs_f64() / part.as_secs_f64()).fract();
            assert!(part <= wait, "{part:?} of {wait:?}");
            assert!(
                (0.49..0.51).contains(&beat),
                "{part:?} in {lease:?}: {beat}"
            );
        }
        assert_eq!(
            off_beat(Duration::ZERO, Duration::from_secs(1)),
            Duration::ZERO
        );
    }
}
