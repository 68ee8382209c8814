//! Groups as durable pull consumers, and their receiving half.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use async_trait::async_trait;
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::group::GroupReader;
use crate::nats::fields;
use crate::nats::lease::{Delivered, Leases};
use crate::nats::link::Link;
use crate::nats::names::Names;
use crate::nats::pull::{End, Puller};
use crate::nats::settle::Settler;
use crate::nats::stream::{Channels, consumer_info};
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
}

impl Membership {
    /// Makes the stream and the consumer, or brings its settings up to this member's.
    async fn join(&self) -> Result<(), BusError> {
        self.channels.ensure(&self.link, &self.spec.channel).await?;
        let lease = u64::try_from(self.spec.lease.as_nanos()).unwrap_or(u64::MAX);
        let wanted = u64::try_from(self.spec.max_in_flight).unwrap_or(u64::MAX);
        let mut room = wanted.saturating_add(ROOM_FOR_DELAYED);
        let found = consumer_info(&self.link, &self.stream, &self.consumer).await?;
        if let Some(info) = &found {
            let there = info.config.max_ack_pending.unwrap_or_default();
            if info.config.ack_wait == Some(lease) && there >= room {
                return Ok(());
            }
            room = room.max(there);
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
        spec,
    });
    membership.rejoin().await?;
    let puller = Puller::new(link).await?;
    let reader = Reader { membership: Arc::clone(&membership), puller };
    Ok(Group { reader: Box::new(reader), settler: Arc::new(Settler::new(membership)) })
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
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let pulled = self.puller.pull(&membership.link, target, max, left).await?;
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

impl Reader {
    /// Messages as leased entries, held from this moment on.
    async fn lease(
        &self,
        messages: Vec<Message>,
        from: Instant,
    ) -> Result<Vec<Leased>, BusError> {
        let Membership { link, spec, leases, .. } = &*self.membership;
        let deliveries =
            messages.iter().map(Delivered::of).collect::<Result<Vec<Delivered>, BusError>>()?;
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
            leased.push(Leased { entry, attempts, token });
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
        let Membership { link, channels, spec, .. } = &*self.membership;
        let incarnation = channels.incarnation(link, &spec.channel).await?;
        for one in leased {
            one.entry.record.ensure_id(&spec.channel, &incarnation, one.entry.id);
        }
        Ok(())
    }
}
