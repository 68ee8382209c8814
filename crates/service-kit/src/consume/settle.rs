//! Settling: one task per loop carries out every decision, many in one call.

use std::sync::Arc;

use nexus_bus::{Bus, BusError, GroupSettler, Settlement};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ConsumerSpec;
use super::leases::Leases;
#[cfg(feature = "failpoints")]
use super::looping::point;
use super::measure::{Kind, Meters};
use super::reply::Reply;
use crate::outage::Outage;
use crate::{Deps, crash_point};

/// Most settlements of one call.
const MOST: usize = 256;

/// A settlement on its way.
pub(super) struct Decided {
    settlement: Settlement,
    stub: Stub,
}

/// What stays here while the settlement is out, and is let go once it is carried out.
struct Stub {
    kind: Kind,
    reply: Option<Reply>,
    _permit: OwnedSemaphorePermit,
}

impl Decided {
    pub(super) const fn new(
        settlement: Settlement,
        permit: OwnedSemaphorePermit,
        kind: Kind,
        reply: Option<Reply>,
    ) -> Self {
        let stub = Stub {
            kind,
            reply,
            _permit: permit,
        };
        Self { settlement, stub }
    }
}

/// The settling part of a loop.
pub(super) struct Settling {
    /// Group and channel, for logs and tests.
    name: String,
    bus: Bus,
    leases: Leases,
    meters: Arc<Meters>,
    settler: Arc<dyn GroupSettler>,
    abandoned: CancellationToken,
    outage: Outage,
    failed: Vec<Decided>,
    again_at: Instant,
    replies: JoinSet<()>,
}

impl Settling {
    pub(super) fn new(
        deps: &Deps,
        leases: Leases,
        meters: Arc<Meters>,
        settler: Arc<dyn GroupSettler>,
        outage: Outage,
    ) -> Self {
        Self {
            name: String::new(),
            bus: deps.bus.clone(),
            leases,
            meters,
            settler,
            abandoned: deps.tasks.abandoned().clone(),
            outage,
            failed: Vec::new(),
            again_at: Instant::now(),
            replies: JoinSet::new(),
        }
    }

    /// The same under the name of its consumer.
    pub(super) fn of(self, spec: &ConsumerSpec) -> Self {
        let name = format!("{}:{}", spec.group, spec.channel);
        Self { name, ..self }
    }

    /// Settles what comes until nothing more can come. What fails is tried again beside what is
    /// new, until its lease is lost or the grace of shutdown is over.
    pub(super) async fn run(mut self, mut decisions: mpsc::UnboundedReceiver<Decided>) {
        let mut fresh = Vec::with_capacity(MOST);
        let mut open = true;
        while open || !self.failed.is_empty() {
            tokio::select! {
                biased;
                count = decisions.recv_many(&mut fresh, MOST), if open => open = count > 0,
                () = tokio::time::sleep_until(self.again_at), if !self.failed.is_empty() => {
                    fresh.append(&mut self.failed);
                }
                () = self.abandoned.cancelled(), if !open => break,
            }
            self.settle(&mut fresh).await;
        }
        self.finish().await;
    }

    async fn finish(mut self) {
        let left = self.failed.len();
        if left > 0 {
            tracing::warn!(
                left,
                consumer = self.name,
                "messages could not be settled in time; they will come again"
            );
        }
        while self.replies.join_next().await.is_some() {}
    }

    async fn settle(&mut self, decided: &mut Vec<Decided>) {
        let mut batch = Vec::with_capacity(decided.len());
        let mut stubs = Vec::with_capacity(decided.len());
        for Decided { settlement, stub } in decided.drain(..) {
            if self.leases.holds(&settlement.leased.token) {
                batch.push(settlement);
                stubs.push(stub);
            } else {
                // Another worker owns it and will come to the same outcome under the same ids.
                self.meters.count(Kind::Lost);
            }
        }
        if batch.is_empty() {
            return;
        }
        let results = self.carry_out(&mut batch).await;
        let mut failing = None;
        for ((settlement, stub), result) in batch.into_iter().zip(stubs).zip(results) {
            match result {
                Ok(()) => self.settled(&settlement, stub),
                Err(error) if error.is_transient() => {
                    self.failed.push(Decided { settlement, stub });
                    failing = Some(error);
                }
                Err(error) => self.give_up(&settlement, &error),
            }
        }
        self.pace(failing);
    }

    async fn carry_out(&self, batch: &mut [Settlement]) -> Vec<Result<(), BusError>> {
        crash_point!(
            &point(&self.name, "before_ack"),
            fail => return away(batch.len()),
            twice => batch.iter_mut().for_each(publish_twice)
        );
        let results = self.settler.settle(batch).await;
        crash_point!(&point(&self.name, "after_ack"), fail => return away(batch.len()));
        results
    }

    fn settled(&mut self, settlement: &Settlement, stub: Stub) {
        self.leases.release(&settlement.leased.token);
        self.meters.count(stub.kind);
        if let Some(reply) = stub.reply {
            let bus = self.bus.clone();
            self.replies.spawn(async move { reply.send(&bus).await });
        }
        while self.replies.try_join_next().is_some() {}
    }

    /// It would fail again. Its lease is let go, so that it comes back and counts as tried.
    fn give_up(&self, settlement: &Settlement, error: &BusError) {
        let entry = settlement.leased.entry.id;
        let consumer = &self.name;
        tracing::error!(consumer, %entry, %error, "a message could not be settled; it will come again");
        self.leases.release(&settlement.leased.token);
        self.meters.count(Kind::Lost);
    }

    fn pace(&mut self, failing: Option<BusError>) {
        match failing {
            None if self.failed.is_empty() => self.outage.worked(),
            None => {}
            Some(error) => self.again_at = Instant::now() + self.outage.failed(&error),
        }
    }
}

/// As if the bus could not be reached.
#[cfg(feature = "failpoints")]
fn away(count: usize) -> Vec<Result<(), BusError>> {
    (0..count).map(|_| crate::crash::no_bus()).collect()
}

/// As a bus does that takes a message and loses its own answer.
#[cfg(feature = "failpoints")]
fn publish_twice(settlement: &mut Settlement) {
    settlement.publish.extend_from_within(..);
}
