//! A second process beside the owner: it reads the file and writes nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use rusqlite::Connection;

use super::link::Readers;
use super::schema::{check_identity, open_reader};
use super::state::{Channel, Stored};
use super::{load, query, tables, watch};
use crate::clock::now_ms;
use crate::{
    Backend, Backlog, BusError, ChannelInfo, Entry, EntryId, Expect, Group, GroupSpec, LiveEntry,
    LiveItem, Outgoing, PutOutcome, ReadFrom, ServerInfo, TableChange, Versioned,
};

pub(super) struct Beside {
    readers: Arc<Readers>,
}

impl Beside {
    pub(super) fn open(path: &Path) -> Result<Self, BusError> {
        let connection = open_reader(path)?;
        check_identity(path, &connection)?;
        Ok(Self {
            readers: Arc::new(Readers::new(path.to_owned())),
        })
    }
}

#[async_trait]
impl Backend for Beside {
    async fn publish(&self, _batch: &[Outgoing]) -> Result<Vec<EntryId>, BusError> {
        Err(BusError::ReadOnly)
    }

    async fn group(&self, _spec: GroupSpec) -> Result<Group, BusError> {
        Err(BusError::ReadOnly)
    }

    async fn read(
        &self,
        channel: &str,
        from: ReadFrom,
        limit: usize,
    ) -> Result<Vec<Entry>, BusError> {
        let name = channel.to_owned();
        let query = move |db: &Connection| {
            let Some(channel) = load::channel(db, &name)? else {
                return Ok(Vec::new());
            };
            let stored: Vec<Stored> = query::read(db, &channel, from, limit)?;
            Ok(stored
                .into_iter()
                .map(|stored| channel.entry(stored))
                .collect())
        };
        self.readers.query(query).await
    }

    async fn backlog(&self, channel: &str, group: &str) -> Result<Backlog, BusError> {
        let (channel, group) = (channel.to_owned(), group.to_owned());
        self.readers
            .query(move |db| backlog(db, &channel, &group))
            .await
    }

    async fn trim(&self, _channel: &str, _retain: Duration) -> Result<u64, BusError> {
        Err(BusError::ReadOnly)
    }

    async fn channels(&self) -> Result<Vec<ChannelInfo>, BusError> {
        let query = |db: &Connection| {
            let info = |channel: Channel| {
                let groups = load::groups(db, &channel)?
                    .into_iter()
                    .map(|group| group.name);
                Ok(query::info(&channel, groups.collect()))
            };
            load::channels(db)?.into_iter().map(info).collect()
        };
        self.readers.query(query).await
    }

    async fn incarnation(&self, channel: &str) -> Result<String, BusError> {
        let name = channel.to_owned();
        let found = self
            .readers
            .query(move |db| load::channel(db, &name))
            .await?;
        found
            .map(|channel| channel.incarnation)
            .ok_or(BusError::ReadOnly)
    }

    async fn table_get(&self, table: &str, key: &str) -> Result<Option<Versioned>, BusError> {
        let (table, key) = (table.to_owned(), key.to_owned());
        self.readers
            .query(move |db| tables::get(db, &table, &key))
            .await
    }

    async fn table_put(
        &self,
        _table: &str,
        _key: &str,
        _value: Bytes,
        _expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        Err(BusError::ReadOnly)
    }

    async fn table_delete(
        &self,
        _table: &str,
        _key: &str,
        _expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        Err(BusError::ReadOnly)
    }

    async fn table_list(&self, table: &str) -> Result<Vec<Versioned>, BusError> {
        let table = table.to_owned();
        Ok(self
            .readers
            .query(move |db| tables::list(db, &table))
            .await?
            .1)
    }

    async fn table_watch(&self, table: &str) -> Result<BoxStream<'static, TableChange>, BusError> {
        watch::poll(Arc::clone(&self.readers), table).await
    }

    async fn live_publish(&self, _topic: &str, _entries: &[LiveEntry]) -> Result<u64, BusError> {
        Err(BusError::ReadOnly)
    }

    /// Live streams are in the owner's memory: ask the owner over HTTP.
    async fn live_subscribe(
        &self,
        _topic: &str,
        _after: u64,
    ) -> Result<BoxStream<'static, LiveItem>, BusError> {
        Err(BusError::ReadOnly)
    }

    async fn ping(&self) -> Result<(), BusError> {
        self.readers
            .query(|db| db.query_row("SELECT 1", [], |_| Ok(())))
            .await
    }

    async fn info(&self) -> Result<ServerInfo, BusError> {
        Ok(query::server("read-only, beside the owner".to_owned()))
    }

    async fn close(&self) {
        self.readers.close();
    }
}

fn backlog(db: &Connection, channel: &str, group: &str) -> rusqlite::Result<Backlog> {
    let Some(channel) = load::channel(db, channel)? else {
        return Ok(Backlog::default());
    };
    let groups = load::groups(db, &channel)?;
    let Some(group) = groups.into_iter().find(|found| found.name == group) else {
        return Ok(Backlog::default());
    };
    let undelivered = channel.head().saturating_sub(group.durable.delivered);
    let oldest_age = query::age(db, &channel, group.floor(), now_ms())?;
    Ok(Backlog {
        undelivered,
        pending: group.pending(),
        oldest_age,
    })
}
