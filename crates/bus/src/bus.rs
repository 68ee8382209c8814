//! The handle everyone holds: a backend, with large payloads carried by reference.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::backend::{Backend, Backlog, ChannelInfo, ServerInfo};
use crate::{
    Blobs, BusConfig, BusError, BusUrl, Entry, EntryId, Expect, Group, GroupSpec, LiveEntry,
    LiveItem, Outgoing, PutOutcome, ReadFrom, TableChange, Versioned, embedded, nats, redis,
};

/// A bus. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct Bus {
    backend: Arc<dyn Backend>,
    blobs: Blobs,
}

impl Bus {
    /// Opens the bus the configuration names. A server that cannot be reached is not an error of
    /// this call where the backend can keep trying: `ping` tells.
    ///
    /// # Errors
    /// A bad address or option, or a file of the embedded bus that cannot be used.
    pub async fn connect(config: &BusConfig) -> Result<Self, BusError> {
        let blobs = Blobs::local(&config.blobs, config.inline_limit)?;
        let backend: Arc<dyn Backend> = match &config.url {
            BusUrl::Embedded { .. } => embedded::open(config).await?,
            BusUrl::Redis(url) => redis::connect(url, &config.prefix)?,
            BusUrl::Nats(url) => nats::connect(url, &config.prefix).await?,
        };
        Ok(Self { backend, blobs })
    }

    /// A bus over a backend of one's own.
    #[must_use]
    pub fn over(backend: Arc<dyn Backend>, blobs: Blobs) -> Self {
        Self { backend, blobs }
    }

    /// Blobs: attachments, artefacts, long results.
    #[must_use]
    pub const fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Stores records in their channels, in order per channel.
    ///
    /// # Errors
    /// Transient ones may be asked again; some records may then be stored twice.
    pub async fn publish(&self, mut batch: Vec<Outgoing>) -> Result<Vec<EntryId>, BusError> {
        self.blobs.check_in_all(&mut batch).await?;
        self.backend.publish(&batch).await
    }

    /// Joins a consumer group.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn group(&self, spec: GroupSpec) -> Result<Group, BusError> {
        Ok(self.blobs.wrap(self.backend.group(spec).await?))
    }

    /// Reads entries in order without joining a group.
    ///
    /// # Errors
    /// When the server cannot be reached. A missing blob leaves its reference in the record.
    pub async fn read(
        &self,
        channel: &str,
        from: ReadFrom,
        limit: usize,
    ) -> Result<Vec<Entry>, BusError> {
        let mut entries = self.backend.read(channel, from, limit).await?;
        for entry in &mut entries {
            match self.blobs.check_out(&mut entry.record).await {
                Ok(()) | Err(BusError::MissingBlob { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// Live reports of a topic behind `after`. After a gap the first entry is a snapshot.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn live_subscribe(
        &self,
        topic: &str,
        after: u64,
    ) -> Result<BoxStream<'static, LiveItem>, BusError> {
        let items = self.backend.live_subscribe(topic, after).await?;
        let mut lost = false;
        Ok(items
            .filter(move |item| {
                let keep = match item {
                    LiveItem::Gap => {
                        lost = true;
                        true
                    }
                    LiveItem::Entry { snapshot, .. } => {
                        lost = lost && !snapshot;
                        !lost
                    }
                };
                std::future::ready(keep)
            })
            .boxed())
    }
}

/// What is passed on as it is; see [`Backend`].
impl Bus {
    /// See [`Backend::backlog`].
    pub async fn backlog(&self, channel: &str, group: &str) -> Result<Backlog, BusError> {
        self.backend.backlog(channel, group).await
    }

    /// See [`Backend::trim`].
    pub async fn trim(&self, channel: &str, retain: Duration) -> Result<u64, BusError> {
        self.backend.trim(channel, retain).await
    }

    /// See [`Backend::channels`].
    pub async fn channels(&self) -> Result<Vec<ChannelInfo>, BusError> {
        self.backend.channels().await
    }

    /// See [`Backend::incarnation`].
    pub async fn incarnation(&self, channel: &str) -> Result<String, BusError> {
        self.backend.incarnation(channel).await
    }

    /// See [`Backend::table_get`].
    pub async fn table_get(&self, table: &str, key: &str) -> Result<Option<Versioned>, BusError> {
        self.backend.table_get(table, key).await
    }

    /// See [`Backend::table_put`].
    pub async fn table_put(
        &self,
        table: &str,
        key: &str,
        value: Bytes,
        expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        self.backend.table_put(table, key, value, expect).await
    }

    /// See [`Backend::table_delete`].
    pub async fn table_delete(
        &self,
        table: &str,
        key: &str,
        expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        self.backend.table_delete(table, key, expect).await
    }

    /// See [`Backend::table_list`].
    pub async fn table_list(&self, table: &str) -> Result<Vec<Versioned>, BusError> {
        self.backend.table_list(table).await
    }

    /// See [`Backend::table_watch`].
    pub async fn table_watch(
        &self,
        table: &str,
    ) -> Result<BoxStream<'static, TableChange>, BusError> {
        self.backend.table_watch(table).await
    }

    /// See [`Backend::live_publish`].
    pub async fn live_publish(&self, topic: &str, entries: &[LiveEntry]) -> Result<u64, BusError> {
        self.backend.live_publish(topic, entries).await
    }

    /// See [`Backend::ping`].
    pub async fn ping(&self) -> Result<(), BusError> {
        self.backend.ping().await
    }

    /// See [`Backend::info`].
    pub async fn info(&self) -> Result<ServerInfo, BusError> {
        self.backend.info().await
    }

    /// See [`Backend::close`].
    pub async fn close(&self) {
        self.backend.close().await;
    }
}
