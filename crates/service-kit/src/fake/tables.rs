//! The tables of the fake bus, which can be cut off, changed behind a watcher's back and lost.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use nexus_bus::{TableChange, TableVersion, Versioned};

use super::FakeBus;

#[derive(Default)]
pub(crate) struct Tables {
    values: BTreeMap<(String, String), Versioned>,
    changes: Vec<(String, TableChange)>,
    lives: u32,
    connections: u32,
}

impl Tables {
    pub(super) fn get(&self, table: &str, key: &str) -> Option<Versioned> {
        self.values
            .get(&(table.to_owned(), key.to_owned()))
            .cloned()
    }

    pub(super) fn list(&self, table: &str) -> Vec<Versioned> {
        let ours = self.values.iter().filter(|((name, _), _)| name == table);
        ours.map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn put(&mut self, table: &str, key: &str, value: Bytes) -> TableVersion {
        let version = self.version();
        let versioned = Versioned {
            key: key.to_owned(),
            value,
            version: version.clone(),
        };
        self.values
            .insert((table.to_owned(), key.to_owned()), versioned.clone());
        self.changes
            .push((table.to_owned(), TableChange::Put(versioned)));
        version
    }

    pub(super) fn delete(&mut self, table: &str, key: &str) -> TableVersion {
        self.values.remove(&(table.to_owned(), key.to_owned()));
        let change = TableChange::Deleted {
            key: key.to_owned(),
        };
        self.changes.push((table.to_owned(), change));
        self.version()
    }

    /// Ends every watch.
    pub(crate) fn cut(&mut self) {
        self.connections += 1;
    }

    /// Loses everything, as a flushed server does.
    pub(crate) fn flush(&mut self) {
        self.values.clear();
        self.lives += 1;
    }

    /// Every value, `Ready`, then each change until the connection is cut.
    pub(super) fn watch(&self, table: &str, bus: FakeBus) -> BoxStream<'static, TableChange> {
        let first = self
            .list(table)
            .into_iter()
            .map(TableChange::Put)
            .chain([TableChange::Ready]);
        let first: Vec<_> = first.collect();
        let watcher = Watcher {
            bus,
            table: table.to_owned(),
            at: self.changes.len(),
            connection: self.connections,
        };
        let rest = futures::stream::unfold(watcher, Watcher::next);
        futures::stream::iter(first).chain(rest).boxed()
    }

    fn version(&self) -> TableVersion {
        TableVersion {
            incarnation: self.lives.to_string(),
            n: self.changes.len() as u64 + 1,
        }
    }
}

struct Watcher {
    bus: FakeBus,
    table: String,
    at: usize,
    connection: u32,
}

impl Watcher {
    async fn next(mut self) -> Option<(TableChange, Self)> {
        loop {
            let changed = std::sync::Arc::clone(&self.bus.changed);
            let changed = changed.notified();
            {
                let state = self.bus.state();
                if state.tables.connections != self.connection {
                    return None;
                }
                let fresh = state.tables.changes.get(self.at..).unwrap_or_default();
                let ours = fresh.iter().position(|(name, _)| *name == self.table);
                if let Some(found) = ours {
                    let change = fresh[found].1.clone();
                    drop(state);
                    self.at += found + 1;
                    return Some((change, self));
                }
            }
            changed.await;
        }
    }
}
