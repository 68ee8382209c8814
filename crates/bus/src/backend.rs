//! What a backend must do. Implemented in `embedded`, `redis` and `nats`; proved alike by the
//! conformance suite.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{
    BusError, Entry, EntryId, Expect, Group, GroupSpec, LiveEntry, LiveItem, Outgoing, PutOutcome,
    ReadFrom, TableChange, Versioned,
};

/// How much a group has before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Entries no consumer of the group has received.
    pub undelivered: u64,
    /// Entries received and not settled; delayed ones included.
    pub pending: u64,
    /// How long the oldest of both has been in the channel.
    pub oldest_age: Option<Duration>,
}

/// A channel as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelInfo {
    /// Its name, without the prefix.
    pub name: String,
    /// How many entries it keeps.
    pub entries: u64,
    /// The groups that read it.
    pub groups: Vec<String>,
}

/// What is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// `embedded`, `redis` or `nats`.
    pub kind: &'static str,
    /// The server's version.
    pub version: String,
    /// What an acknowledged message survives, in words.
    pub durability: String,
    /// What should be changed on this server, in words; empty when all is well.
    pub warnings: Vec<String>,
}

/// Channels, tables and live streams. Names come without the prefix; the backend adds it.
///
/// Every record a backend returns has an `id` ([`crate::Record::ensure_id`] with the channel's
/// incarnation).
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Appends each record to its channel, creating channels as needed. Either all are stored when
    /// this returns `Ok`, or the caller asks again (and some may then be stored twice).
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<EntryId>, BusError>;

    /// Joins a group. A new group begins at the oldest entry. After a flush the group is made
    /// again without losing what was published since.
    async fn group(&self, spec: GroupSpec) -> Result<Group, BusError>;

    /// Reads entries in order without joining a group.
    async fn read(
        &self,
        channel: &str,
        from: ReadFrom,
        limit: usize,
    ) -> Result<Vec<Entry>, BusError>;

    /// How much a group has before it; zeros when there is no such channel or group.
    async fn backlog(&self, channel: &str, group: &str) -> Result<Backlog, BusError>;

    /// Drops entries older than `retain`, but never one that a group has not settled. Returns how
    /// many (where the server tells).
    async fn trim(&self, channel: &str, retain: Duration) -> Result<u64, BusError>;

    /// Every channel there is.
    async fn channels(&self) -> Result<Vec<ChannelInfo>, BusError>;

    /// Names this life of the channel: made at creation, lost with the data.
    async fn incarnation(&self, channel: &str) -> Result<String, BusError>;

    /// The value of a key.
    async fn table_get(&self, table: &str, key: &str) -> Result<Option<Versioned>, BusError>;

    /// Sets a key if `expect` holds.
    async fn table_put(
        &self,
        table: &str,
        key: &str,
        value: Bytes,
        expect: Expect,
    ) -> Result<PutOutcome, BusError>;

    /// Deletes a key if `expect` holds; the version in `Stored` is that of the deletion.
    async fn table_delete(
        &self,
        table: &str,
        key: &str,
        expect: Expect,
    ) -> Result<PutOutcome, BusError>;

    /// All values, by key.
    async fn table_list(&self, table: &str) -> Result<Vec<Versioned>, BusError>;

    /// All values, then every change, across reconnects: after one, the values are sent again and
    /// closed by `Ready`. Ends only when the bus is closed.
    async fn table_watch(&self, table: &str) -> Result<BoxStream<'static, TableChange>, BusError>;

    /// Appends to a live stream; returns the sequence of the last.
    async fn live_publish(&self, topic: &str, entries: &[LiveEntry]) -> Result<u64, BusError>;

    /// Everything kept behind `after` (0: from the beginning), then what comes. `Gap` where
    /// something between is gone. All subscriptions of an instance share one connection.
    async fn live_subscribe(
        &self,
        topic: &str,
        after: u64,
    ) -> Result<BoxStream<'static, LiveItem>, BusError>;

    /// Whether the bus answers.
    async fn ping(&self) -> Result<(), BusError>;

    /// What is at the other end.
    async fn info(&self) -> Result<ServerInfo, BusError>;

    /// Stops background work and releases files; what was acknowledged is on its way to disk.
    async fn close(&self);
}
