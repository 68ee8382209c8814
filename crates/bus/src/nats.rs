//! The NATS backend: channels are `JetStream` streams, groups durable pull consumers, tables
//! key-value buckets, live topics subjects of one stream in memory.

mod cursor;
mod feed;
mod fields;
mod group;
mod info;
mod keeper;
mod lease;
mod link;
mod live;
mod names;
mod publish;
mod pull;
mod read;
mod settle;
mod stream;
mod table;
mod trim;
mod waits;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{
    Backend, Backlog, BusError, ChannelInfo, Entry, EntryId, Expect, Group, GroupSpec, LiveEntry,
    LiveItem, Outgoing, PutOutcome, ReadFrom, ServerInfo, TableChange, Versioned,
};
use feed::Feed;
use link::Link;
use live::Writers;
use stream::Channels;

/// Connects. A server that is not there is looked for until it is: `ping` tells.
///
/// # Errors
/// [`BusError::Config`] when the address cannot be used.
pub async fn connect(url: &str, prefix: &str) -> Result<Arc<dyn Backend>, BusError> {
    let link = Arc::new(Link::connect(url, prefix).await?);
    Ok(Arc::new(Nats {
        link,
        channels: Arc::default(),
        writers: Writers::default(),
        feed: Feed::default(),
    }))
}

struct Nats {
    link: Arc<Link>,
    channels: Arc<Channels>,
    writers: Writers,
    feed: Feed,
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.link.closed.cancel();
    }
}

#[async_trait]
impl Backend for Nats {
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<EntryId>, BusError> {
        let batch: Vec<&Outgoing> = batch.iter().collect();
        publish::publish(&self.link, &self.channels, &batch)
            .await
            .into_iter()
            .collect()
    }

    async fn group(&self, spec: GroupSpec) -> Result<Group, BusError> {
        group::join(&self.link, &self.channels, spec).await
    }

    async fn read(
        &self,
        channel: &str,
        from: ReadFrom,
        limit: usize,
    ) -> Result<Vec<Entry>, BusError> {
        read::read(&self.link, channel, from, limit).await
    }

    async fn backlog(&self, channel: &str, group: &str) -> Result<Backlog, BusError> {
        stream::backlog(&self.link, channel, group).await
    }

    async fn trim(&self, channel: &str, retain: Duration) -> Result<u64, BusError> {
        trim::trim(&self.link, channel, retain).await
    }

    async fn channels(&self) -> Result<Vec<ChannelInfo>, BusError> {
        stream::channels(&self.link).await
    }

    async fn incarnation(&self, channel: &str) -> Result<String, BusError> {
        self.channels.incarnation(&self.link, channel).await
    }

    async fn table_get(&self, table: &str, key: &str) -> Result<Option<Versioned>, BusError> {
        table::get(&self.link, table, key).await
    }

    async fn table_put(
        &self,
        table: &str,
        key: &str,
        value: Bytes,
        expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        table::put(&self.link, table, key, Some(value), expect).await
    }

    async fn table_delete(
        &self,
        table: &str,
        key: &str,
        expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        table::put(&self.link, table, key, None, expect).await
    }

    async fn table_list(&self, table: &str) -> Result<Vec<Versioned>, BusError> {
        table::list(&self.link, table).await
    }

    async fn table_watch(&self, table: &str) -> Result<BoxStream<'static, TableChange>, BusError> {
        Ok(watch::watch(&self.link, table))
    }

    async fn live_publish(&self, topic: &str, entries: &[LiveEntry]) -> Result<u64, BusError> {
        self.writers.publish(&self.link, topic, entries).await
    }

    async fn live_subscribe(
        &self,
        topic: &str,
        after: u64,
    ) -> Result<BoxStream<'static, LiveItem>, BusError> {
        self.feed.subscribe(&self.link, topic, after).await
    }

    async fn ping(&self) -> Result<(), BusError> {
        info::ping(&self.link).await
    }

    async fn info(&self) -> Result<ServerInfo, BusError> {
        info::info(&self.link).await
    }

    async fn close(&self) {
        info::close(&self.link).await;
    }
}
