//! Reading: as many messages as there are free permits, across every outage.

use std::sync::Arc;
use std::time::Duration;

use nexus_bus::{BusError, Delivery, GroupReader, Leased};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::leases::Leases;
use super::looping::Received;
use crate::Deps;
use crate::outage::Outage;

/// How long one read waits for messages. Shutdown lets it return, because a read cut off may leave
/// messages leased to nobody; so this is also what an idle loop adds to a shutdown.
const READ_WAIT: Duration = Duration::from_millis(500);

/// How long shutdown waits for a read that does not return.
const LAST_READ: Duration = Duration::from_secs(2);

/// The reading part of a loop.
pub(super) struct Reading {
    pub(super) deps: Deps,
    pub(super) leases: Leases,
    pub(super) free: Arc<Semaphore>,
    pub(super) most: usize,
    pub(super) outage: Outage,
    pub(super) incoming: mpsc::UnboundedSender<Received>,
}

impl Reading {
    /// Reads until the node stops.
    pub(super) async fn run(mut self, mut reader: Box<dyn GroupReader>) {
        while let Some(mut permits) = self.permits().await {
            match self.next(reader.as_mut(), permits.num_permits()).await {
                None => return,
                Some(Ok(batch)) => {
                    self.outage.worked();
                    for leased in batch {
                        self.hand_over(leased, &mut permits);
                    }
                }
                Some(Err(error)) => {
                    drop(permits);
                    let pause = tokio::time::sleep(self.outage.failed(&error));
                    if self
                        .deps
                        .shutdown
                        .run_until_cancelled(pause)
                        .await
                        .is_none()
                    {
                        return;
                    }
                }
            }
        }
    }

    /// All free permits, at least one, at most one read's worth; `None` when the node stops.
    async fn permits(&self) -> Option<OwnedSemaphorePermit> {
        if self.deps.shutdown.is_cancelled() {
            return None;
        }
        let first = Arc::clone(&self.free).acquire_owned();
        let mut permits = self.deps.shutdown.run_until_cancelled(first).await?.ok()?;
        let more = self
            .free
            .available_permits()
            .min(self.most.saturating_sub(1));
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if let Ok(more) = Arc::clone(&self.free).try_acquire_many_owned(more) {
            permits.merge(more);
        }
        Some(permits)
    }

    async fn next(
        &self,
        reader: &mut dyn GroupReader,
        most: usize,
    ) -> Option<Result<Vec<Leased>, BusError>> {
        let overdue = async {
            self.deps.shutdown.cancelled().await;
            tokio::time::sleep(LAST_READ).await;
        };
        tokio::select! {
            batch = reader.next(most, READ_WAIT) => Some(batch),
            () = overdue => None,
        }
    }

    fn hand_over(&self, leased: Leased, permits: &mut OwnedSemaphorePermit) {
        let lost = self.leases.hold(&leased.token);
        // A backend that returns more than was asked for is held to what it returned.
        let none = || Arc::clone(&self.free).try_acquire_many_owned(0).ok();
        let Some(permit) = permits.split(1).or_else(none) else {
            return;
        };
        let received = Received {
            delivery: Delivery::new(leased),
            lost,
            permit,
        };
        // The other end outlives this one except in a node that is torn down; the lease ends then.
        drop(self.incoming.send(received));
    }
}
