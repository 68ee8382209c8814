//! The settling half of a group: everything a settlement stores is confirmed, then it is answered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use tokio::time::Instant;

use crate::group::{GroupSettler, dead_record};
use crate::nats::group::Membership;
use crate::nats::lease::Waited;
use crate::nats::link::Refusal;
use crate::nats::publish::publish;
use crate::nats::stream::consumer_info;
use crate::nats::waits::{self, Place};
use crate::{Action, BusError, LeaseToken, Outgoing, Settlement, clock, dead_channel};

const DONE: &[u8] = b"+ACK";
/// Gives a delivery another lease.
pub(super) const WORKING: &[u8] = b"+WPI";

/// Answers deliveries of one group.
pub(super) struct Settler {
    membership: Arc<Membership>,
}

impl Settler {
    pub(super) const fn new(membership: Arc<Membership>) -> Self {
        Self { membership }
    }

    /// Whether the delivery is still ours to decide on. Work that is done is acknowledged all the
    /// same: whoever has the entry now need not repeat it.
    fn is_ours(&self, settlement: &Settlement) -> bool {
        matches!(settlement.action, Action::Ack)
            || self
                .membership
                .leases
                .current(&settlement.leased.token)
                .is_some()
    }

    /// Stores what the settlements publish; the first failure of each.
    async fn store(&self, batch: &[Settlement]) -> Vec<Result<(), BusError>> {
        let spec = &self.membership.spec;
        let burials: Vec<Option<Outgoing>> = batch
            .iter()
            .map(|settlement| {
                let dead = matches!(settlement.action, Action::Dead { .. });
                (dead && self.is_ours(settlement)).then(|| Outgoing {
                    channel: dead_channel(&spec.channel),
                    record: dead_record(settlement, &spec.channel, &spec.group, clock::now_ms()),
                })
            })
            .collect();
        let mut owners = Vec::new();
        let mut outgoing = Vec::new();
        for (at, (settlement, burial)) in batch.iter().zip(&burials).enumerate() {
            if self.is_ours(settlement) {
                let all = settlement.publish.iter().chain(burial);
                outgoing.extend(all.inspect(|_| owners.push(at)));
            }
        }
        let mut results = vec![Ok(()); batch.len()];
        if outgoing.is_empty() {
            return results;
        }
        let stored = publish(&self.membership.link, &self.membership.channels, &outgoing).await;
        for (owner, result) in owners.into_iter().zip(stored) {
            if let (Some(slot @ Ok(())), Err(error)) = (results.get_mut(owner), result) {
                *slot = Err(error);
            }
        }
        results
    }

    /// Tells the server what became of a delivery.
    async fn answer(&self, settlement: &Settlement) -> Result<(), BusError> {
        let token = &settlement.leased.token;
        let lease = self.membership.leases.current(token);
        let waited = lease.map_or_else(Waited::default, |(waited, _)| waited);
        let answer = match (&settlement.action, lease) {
            (Action::Ack, _) | (Action::Dead { .. }, Some(_)) => Bytes::from_static(DONE),
            (Action::Retry { after }, Some(_)) => again(*after),
            (Action::Wait { after }, Some((waited, stored_ns))) => {
                self.note_wait(settlement, waited, stored_ns).await?;
                again(*after)
            }
            (Action::Retry { .. } | Action::Wait { .. } | Action::Dead { .. }, None) => {
                tracing::debug!(entry = %settlement.leased.entry.id, "its lease had ended");
                return Ok(());
            }
        };
        self.send(token, answer).await?;
        if matches!(settlement.action, Action::Ack | Action::Dead { .. }) {
            waits::forget(&self.membership.link, waited).await;
        }
        self.membership.leases.end(token);
        Ok(())
    }

    async fn note_wait(
        &self,
        settlement: &Settlement,
        waited: Waited,
        stored_ns: i64,
    ) -> Result<(), BusError> {
        let Membership {
            link, spec, leases, ..
        } = &*self.membership;
        let place = Place {
            channel: &spec.channel,
            group: &spec.group,
            sequence: settlement.leased.entry.id.major,
            stored_ns,
        };
        // Counted from the delivery: settled again after an error, it is one wait.
        let times = waited.times.saturating_add(1);
        let noted = waits::note(link, place, times).await?;
        leases.waited(
            &settlement.leased.token,
            Waited {
                times: waited.times,
                ..noted
            },
        );
        Ok(())
    }

    /// Answers a delivery and waits until the server has it.
    async fn send(&self, token: &LeaseToken, answer: Bytes) -> Result<(), BusError> {
        let Membership {
            link,
            stream,
            consumer,
            ..
        } = &*self.membership;
        link.ready().await?;
        match link.request(token.0.clone(), answer).await {
            Ok(_) => Ok(()),
            // The consumer is gone with the entry, or the server is still starting.
            Err(Refusal::Missing) => match consumer_info(link, stream, consumer).await? {
                None => Ok(()),
                Some(_) => Err(link.unreachable("the consumer does not answer yet")),
            },
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Whether the delivery has another lease now.
    async fn prolong(&self, token: &LeaseToken) -> Result<bool, BusError> {
        let Membership { link, leases, .. } = &*self.membership;
        if leases.current(token).is_none() {
            return Ok(false);
        }
        let from = Instant::now();
        match link
            .request(token.0.clone(), Bytes::from_static(WORKING))
            .await
        {
            Ok(_) => {
                leases.extend(token, from);
                Ok(true)
            }
            Err(Refusal::Missing) => {
                leases.end(token);
                Ok(false)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }
}

#[async_trait]
impl GroupSettler for Settler {
    async fn settle(&self, batch: &[Settlement]) -> Vec<Result<(), BusError>> {
        let stored = self.store(batch).await;
        join_all(
            batch
                .iter()
                .zip(stored)
                .map(|(settlement, stored)| async move {
                    stored?;
                    self.answer(settlement).await
                }),
        )
        .await
    }

    async fn extend(&self, tokens: &[LeaseToken]) -> Result<Vec<LeaseToken>, BusError> {
        self.membership.link.ready().await?;
        let prolonged = join_all(tokens.iter().map(|token| self.prolong(token))).await;
        let mut lost = Vec::new();
        for (token, prolonged) in tokens.iter().zip(prolonged) {
            if !prolonged? {
                lost.push(token.clone());
            }
        }
        Ok(lost)
    }
}

/// "Not done; again after this long".
fn again(after: Duration) -> Bytes {
    if after.is_zero() {
        return Bytes::from_static(b"-NAK");
    }
    format!("-NAK {{\"delay\":{}}}", after.as_nanos()).into()
}
