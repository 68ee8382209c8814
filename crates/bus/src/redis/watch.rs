//! Watching a table: its values, then its changes, across reconnects and lost data.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::link::Backoff;
use super::subscriber::{Event, Subscription};
use super::{Core, table};
use crate::{BusError, TableChange, TableVersion, Versioned};

/// How often a quiet table is looked at: a server that lost its data tells nobody.
const LOOK: Duration = Duration::from_secs(1);

/// Changes fetched at a time.
const CHANGES_PAGE: usize = 500;

pub(super) fn watch(core: Arc<Core>, table: &str) -> BoxStream<'static, TableChange> {
    let subscription = core.subscriber.subscribe(core.keys.table(table).values);
    let watcher = Watcher {
        core,
        table: table.to_owned(),
        subscription,
        seen: TableVersion {
            incarnation: String::new(),
            n: 0,
        },
        keys: BTreeSet::new(),
        ready: VecDeque::new(),
    };
    stream::unfold(watcher, Watcher::next).boxed()
}

struct Watcher {
    core: Arc<Core>,
    table: String,
    subscription: Subscription,
    /// Up to where the watcher has been told.
    seen: TableVersion,
    /// The keys the watcher has been told of in this incarnation.
    keys: BTreeSet<String>,
    ready: VecDeque<TableChange>,
}

impl Watcher {
    async fn next(mut self) -> Option<(TableChange, Self)> {
        let mut backoff = Backoff::default();
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Some((change, self));
            }
            let mut event = tokio::select! {
                () = self.core.closed.cancelled() => return None,
                event = self.subscription.next() => event,
                () = tokio::time::sleep(LOOK) => {
                    if !self.is_behind().await {
                        continue;
                    }
                    Event::Resync
                }
            };
            // Until it is told, whatever fails: the watcher has nothing else to do.
            while let Err(error) = self.follow(&event).await {
                if matches!(error, BusError::Closed) {
                    return None;
                }
                event = Event::Resync;
                tracing::debug!(table = %self.table, %error, "table could not be read; again soon");
                tokio::select! {
                    () = self.core.closed.cancelled() => return None,
                    () = tokio::time::sleep(backoff.next_pause()) => {}
                }
            }
            backoff.reset();
        }
    }

    /// Whether the table is not as it was told, or lost. A connection that fails says so by itself.
    async fn is_behind(&self) -> bool {
        let now = table::version(&self.core, &self.table).await;
        now.is_ok_and(|now| now != self.seen)
    }

    async fn follow(&mut self, event: &Event) -> Result<(), BusError> {
        let Event::Message(message) = event else {
            return self.tell_all().await;
        };
        let message = String::from_utf8_lossy(message);
        let (incarnation, n) = message.split_once(' ').unwrap_or_default();
        if incarnation != self.seen.incarnation {
            return self.tell_all().await;
        }
        let n: u64 = n.parse().unwrap_or_default();
        while self.seen.n < n {
            if !self.tell_changes().await? {
                return self.tell_all().await;
            }
        }
        Ok(())
    }

    /// Whether the changes behind what was told are all there.
    async fn tell_changes(&mut self) -> Result<bool, BusError> {
        let page = table::changes(&self.core, &self.table, self.seen.n, CHANGES_PAGE).await?;
        if page.first().is_none_or(|first| first.n != self.seen.n + 1) {
            return Ok(false);
        }
        for change in page {
            self.seen.n = change.n;
            self.ready.push_back(match change.value {
                Some(value) => {
                    self.keys.insert(change.key.clone());
                    let version = self.seen.clone();
                    TableChange::Put(Versioned {
                        key: change.key,
                        value,
                        version,
                    })
                }
                None => {
                    self.keys.remove(&change.key);
                    TableChange::Deleted { key: change.key }
                }
            });
        }
        Ok(true)
    }

    /// Everything there is, and what was deleted meanwhile. A table that was lost with its data
    /// deletes nothing: its keys are only forgotten.
    async fn tell_all(&mut self) -> Result<(), BusError> {
        let snapshot = table::snapshot(&self.core, &self.table).await?;
        let keys: BTreeSet<String> = snapshot.values.iter().map(|v| v.key.clone()).collect();
        if snapshot.version.incarnation == self.seen.incarnation {
            let deleted = self.keys.difference(&keys).cloned();
            self.ready
                .extend(deleted.map(|key| TableChange::Deleted { key }));
        }
        self.keys = keys;
        self.seen = snapshot.version;
        self.ready
            .extend(snapshot.values.into_iter().map(TableChange::Put));
        self.ready.push_back(TableChange::Ready);
        Ok(())
    }
}
