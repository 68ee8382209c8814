//! Watching a table: everything there is, then each change, then everything again for a watcher
//! that fell behind.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, unfold};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::link::{Link, Readers};
use super::tables::{Change, list};
use crate::{BusError, TableChange};

/// How often a table is looked at from beside the owner, and how soon again after a failure.
const POLL: Duration = Duration::from_millis(250);

/// In the owner's process.
pub(super) async fn watch(
    link: &Link,
    table: &str,
) -> Result<BoxStream<'static, TableChange>, BusError> {
    // Listening begins before the list is read: what both tell is told once, by its counter.
    let changes = link.shared.watchers.watch(table);
    let mut watcher = Watcher {
        readers: Arc::clone(&link.readers),
        table: table.to_owned(),
        changes,
        seen: 0,
        items: VecDeque::new(),
    };
    watcher.list().await?;
    Ok(unfold(watcher, Watcher::next).boxed())
}

struct Watcher {
    readers: Arc<Readers>,
    table: String,
    changes: Receiver<Change>,
    seen: u64,
    items: VecDeque<TableChange>,
}

impl Watcher {
    async fn list(&mut self) -> Result<(), BusError> {
        let table = self.table.clone();
        let (seen, values) = self.readers.query(move |db| list(db, &table)).await?;
        self.seen = seen;
        self.items = values.into_iter().map(TableChange::Put).collect();
        self.items.push_back(TableChange::Ready);
        Ok(())
    }

    async fn next(mut self) -> Option<(TableChange, Self)> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Some((item, self));
            }
            match self.changes.recv().await {
                Ok((n, change)) if n > self.seen => {
                    self.seen = n;
                    return Some((change, self));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.list_again().await,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn list_again(&mut self) {
        while let Err(error) = self.list().await {
            tracing::warn!(table = self.table, %error, "table cannot be read; trying again");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Beside the owner: by looking again and again.
pub(super) async fn poll(
    readers: Arc<Readers>,
    table: &str,
) -> Result<BoxStream<'static, TableChange>, BusError> {
    let mut poller = Poller {
        readers,
        table: table.to_owned(),
        known: None,
        items: VecDeque::new(),
    };
    poller.look().await?;
    Ok(unfold(poller, Poller::next).boxed())
}

struct Poller {
    readers: Arc<Readers>,
    table: String,
    /// The counter of each key; nothing before the first look.
    known: Option<BTreeMap<String, u64>>,
    items: VecDeque<TableChange>,
}

impl Poller {
    async fn look(&mut self) -> Result<(), BusError> {
        let table = self.table.clone();
        let (_, values) = self.readers.query(move |db| list(db, &table)).await?;
        let first = self.known.is_none();
        let mut gone = self.known.take().unwrap_or_default();
        let mut known = BTreeMap::new();
        for value in values {
            let before = gone.remove(&value.key);
            known.insert(value.key.clone(), value.version.n);
            if before != Some(value.version.n) {
                self.items.push_back(TableChange::Put(value));
            }
        }
        self.items
            .extend(gone.into_keys().map(|key| TableChange::Deleted { key }));
        if first {
            self.items.push_back(TableChange::Ready);
        }
        self.known = Some(known);
        Ok(())
    }

    async fn next(mut self) -> Option<(TableChange, Self)> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Some((item, self));
            }
            tokio::time::sleep(POLL).await;
            if let Err(error) = self.look().await {
                tracing::warn!(table = self.table, %error, "table cannot be read; trying again");
            }
        }
    }
}
