//! Tables as local copies: read without asking anyone, kept while the bus is away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use nexus_bus::{Bus, BusError, Expect, TableChange, Versioned};
use parking_lot::RwLock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::Deps;
use crate::outage::Outage;

/// How long [`TableView::watch`] waits for a first copy, so that a service normally starts with
/// its tables filled. An absent bus costs a start no more than this.
const FIRST_COPY: Duration = Duration::from_millis(250);

/// A table of the bus, kept as a local copy. Cheap to clone.
///
/// The copy outlives the bus: it goes on answering while the bus is away, and keeps what it knows
/// when the bus comes back empty, until the table's owner has put its values again.
pub struct TableView<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for TableView<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

struct Shared<T> {
    values: RwLock<BTreeMap<String, T>>,
    changes: watch::Sender<u64>,
    ready: watch::Sender<bool>,
}

impl<T: DeserializeOwned + Clone + Send + Sync + 'static> TableView<T> {
    /// Keeps a copy of `table` from now on, on the tasks of these deps.
    pub async fn watch(deps: &Deps, table: &'static str) -> Self {
        let view = Self {
            shared: Arc::new(Shared {
                values: RwLock::default(),
                changes: watch::Sender::new(0),
                ready: watch::Sender::new(false),
            }),
        };
        let bus = deps.bus.clone();
        let follower = Follower {
            view: view.clone(),
            bus,
            table,
            seen: BTreeMap::new(),
        };
        deps.tasks.spawn("table", follower.run(deps.clone()));
        drop(tokio::time::timeout(FIRST_COPY, view.ready()).await);
        view
    }

    /// The value of a key, as last heard.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<T> {
        self.shared.values.read().get(key).cloned()
    }

    /// Whether the key has a value.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.shared.values.read().contains_key(key)
    }

    /// Every value, by key.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, T> {
        self.shared.values.read().clone()
    }

    /// Waits until everything there was has been copied once.
    pub async fn ready(&self) {
        // The sender lives in `shared`, which this call holds.
        drop(self.shared.ready.subscribe().wait_for(|ready| *ready).await);
    }

    /// Counts the changes of the copy.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn edit(&self, edit: impl FnOnce(&mut BTreeMap<String, T>)) {
        edit(&mut self.shared.values.write());
        self.shared
            .changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Sets a key of a table, whatever it holds.
///
/// # Errors
/// When the bus cannot be reached, or the value is not JSON.
pub async fn put_table<T: Serialize + Sync>(
    bus: &Bus,
    table: &str,
    key: &str,
    value: &T,
) -> Result<(), BusError> {
    let json = serde_json::to_vec(value).map_err(|error| {
        BusError::Protocol(format!("value of `{key}` in table `{table}`: {error}"))
    })?;
    bus.table_put(table, key, json.into(), Expect::Any)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests;

struct Follower<T> {
    view: TableView<T>,
    bus: Bus,
    table: &'static str,
    /// In which incarnation of the table each key was put last.
    seen: BTreeMap<String, String>,
}

impl<T: DeserializeOwned + Clone + Send + Sync + 'static> Follower<T> {
    async fn run(mut self, deps: Deps) {
        let mut outage = Outage::new(&deps.clock, format!("watching table {}", self.table));
        loop {
            let followed = self.follow(&mut outage);
            let Some(result) = deps.shutdown.run_until_cancelled(followed).await else {
                return;
            };
            let error = result.err().unwrap_or(BusError::Closed);
            let pause = tokio::time::sleep(outage.failed(&error));
            if deps.shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Follows the table until the bus ends the stream; the last copy is used from then on.
    async fn follow(&mut self, outage: &mut Outage) -> Result<(), BusError> {
        let mut changes = self.bus.table_watch(self.table).await?;
        while let Some(change) = changes.next().await {
            outage.worked();
            match change {
                TableChange::Put(versioned) => self.put(versioned),
                TableChange::Deleted { key } => {
                    self.seen.remove(&key);
                    self.view.edit(|values| drop(values.remove(&key)));
                }
                TableChange::Ready => {
                    self.drop_what_was_deleted().await;
                    self.view.shared.ready.send_replace(true);
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, put: Versioned) {
        let Versioned {
            key,
            value,
            version,
        } = put;
        self.seen.insert(key.clone(), version.incarnation);
        match serde_json::from_slice(&value) {
            Ok(value) => self.view.edit(|values| drop(values.insert(key, value))),
            Err(error) => {
                let table = self.table;
                tracing::warn!(table, key, %error, "a value cannot be read; the last one is used");
            }
        }
    }

    /// After a (re)connect: what is not there any more was deleted meanwhile, but only what was put in
    /// the incarnation that is there now. A new incarnation is not a deletion, however often one
    /// reconnects before its owner has put everything again.
    async fn drop_what_was_deleted(&mut self) {
        let Ok(there) = self.bus.table_list(self.table).await else {
            return;
        };
        let Some(first) = there.first() else { return };
        let incarnation = first.version.incarnation.clone();
        let keys: BTreeSet<String> = there.into_iter().map(|versioned| versioned.key).collect();
        let seen = &mut self.seen;
        let is_gone = |key: &String| !keys.contains(key) && seen.get(key) == Some(&incarnation);
        self.view
            .edit(|values| values.retain(|key, _| !is_gone(key)));
        seen.retain(|key, _| keys.contains(key));
    }
}
