//! One call that waits for a person.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use nexus_bus::{BusError, Expect, PutOutcome, TableChange};
use nexus_contracts::tables;
use nexus_service_kit::backoff::Backoff;
use tokio::time::{sleep, timeout};

use super::entry::{Closed, InboxEntry};
use super::step::{Hold, Step, next};
use super::table;
use crate::provider::Reach;

/// How often the entry is looked at without news of it: a bus that lost its data gets it again.
const LOOK_OVER: Duration = Duration::from_secs(15);

/// How long a question is tried to be taken back.
const TAKE_BACK: Duration = Duration::from_secs(2);

/// A call that waits. Its entry stays when it is dropped: whoever carries the command out next goes
/// on waiting for the same one, and [`crate::handler`] settles it once the command is answered.
pub(super) struct Waiting<'a> {
    reach: &'a Reach,
    ours: InboxEntry,
    key: String,
    hold: Hold,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(reach: &'a Reach, ours: InboxEntry) -> Self {
        Self {
            reach,
            key: ours.key(),
            ours,
            hold: Hold::NotYet,
        }
    }

    /// Asks, or goes on waiting where somebody has asked already, until the question is closed.
    /// A bus that is away is waited for: the caller knows for how long.
    pub(super) async fn closed(&mut self) -> Closed {
        let mut backoff = Backoff::of_loop(&self.reach.clock);
        loop {
            let error = match self.follow(&mut backoff).await {
                Ok(closed) => return closed,
                Err(error) => error,
            };
            // Once per outage.
            if !backoff.is_failing() {
                tracing::warn!(%error, "the inbox cannot be reached; trying on");
            }
            sleep(backoff.next_delay()).await;
        }
    }

    /// The same until the bus fails or ends the watch.
    async fn follow(&mut self, backoff: &mut Backoff) -> Result<Closed, BusError> {
        // Watching begins before the first look, so that nothing happens unseen between the two.
        let mut changes = self.reach.bus.table_watch(tables::INBOX).await?;
        loop {
            if let Some(closed) = self.look().await? {
                return Ok(closed);
            }
            backoff.reset();
            self.news(&mut changes).await?;
        }
    }

    /// Looks at the entry and does what is next; `None` when that is to wait.
    async fn look(&mut self) -> Result<Option<Closed>, BusError> {
        let Reach { bus, clock, .. } = self.reach;
        loop {
            let found = bus.table_get(tables::INBOX, &self.key).await?;
            let entry = found
                .as_ref()
                .and_then(|found| InboxEntry::read(&found.value));
            let step = next(entry.as_ref(), &self.ours, self.hold, clock.now());
            let expect = found.map_or(Expect::Absent, |found| Expect::Version(found.version));
            match step {
                Step::Wait(hold) => {
                    self.hold = hold;
                    return Ok(None);
                }
                Step::Put(asked_at) => {
                    self.ours.asked_at = asked_at;
                    let value = table::value(&self.ours)?;
                    let put = bus.table_put(tables::INBOX, &self.key, value, expect);
                    if matches!(put.await?, PutOutcome::Stored(_)) {
                        self.hold = Hold::Ours;
                        return Ok(None);
                    }
                    // Somebody else was quicker: look again.
                }
                // It stays until the answer is stored, which may happen in another process.
                Step::Take(closed) => return Ok(Some(closed)),
            }
        }
    }

    /// Waits until something about the entry may have changed.
    async fn news(&self, changes: &mut BoxStream<'static, TableChange>) -> Result<(), BusError> {
        let about_it = async {
            while let Some(change) = changes.next().await {
                let key = match change {
                    TableChange::Put(value) => value.key,
                    TableChange::Deleted { key } => key,
                    // After a break: what is not among the values may be lost.
                    TableChange::Ready => return Ok(()),
                };
                if key == self.key {
                    return Ok(());
                }
            }
            Err(BusError::Closed)
        };
        timeout(LOOK_OVER, about_it).await.unwrap_or(Ok(()))
    }

    /// Takes the question back: nobody waits any more. What a person has said at the last moment
    /// counts, as they were told that it would.
    pub(super) async fn withdraw(self) -> Option<Closed> {
        let taken = timeout(TAKE_BACK, self.take_back()).await;
        let taken = taken.unwrap_or(Err(BusError::Closed));
        taken.unwrap_or_else(|error| {
            // It is over at its deadline, and is removed by whoever looks at the table then.
            tracing::debug!(%error, "a question nobody waits for is left");
            None
        })
    }

    async fn take_back(&self) -> Result<Option<Closed>, BusError> {
        let bus = &self.reach.bus;
        while let Some(found) = bus.table_get(tables::INBOX, &self.key).await? {
            let entry = InboxEntry::read(&found.value);
            let Some(entry) = entry.filter(|entry| entry.waiter == self.ours.waiter) else {
                // Another call waits now.
                return Ok(None);
            };
            if let Some(closed) = entry.closed() {
                return Ok(Some(closed));
            }
            let expect = Expect::Version(found.version);
            let removed = bus.table_delete(tables::INBOX, &self.key, expect).await?;
            if matches!(removed, PutOutcome::Stored(_)) {
                break;
            }
        }
        Ok(None)
    }
}
