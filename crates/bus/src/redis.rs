//! The Redis backend: streams with consumer groups, over redis-rs.
//!
//! Floor: Redis 7.0. Keys, all behind the configured prefix:
//!
//! | key | kind | holds |
//! |---|---|---|
//! | `<channel>` | stream | the entries; `redis-cli XADD` into it is all a raw client needs |
//! | `<channel>.delayed.<group>` | sorted set | entry ids set aside, by due time |
//! | `<channel>.leases.<group>` | hash | how long each consumer may stay silent |
//! | `<channel>.incarnation` | string | names this life of the channel |
//! | `<channel>.checkpoints` | hash | per group, up to where everything is settled |
//! | `<channel>.dead` | stream | dead letters |
//! | `table:<name>`, `…:meta`, `…:changes` | hash, hash, stream | a table |
//! | `live:<topic>` | stream and pub/sub channel | a live stream |

mod channel;
mod fault;
mod info;
mod keys;
mod link;
mod live;
mod membership;
mod reader;
mod scripts;
mod settler;
mod subscriber;
mod table;
mod watch;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{
    Backend, Backlog, BusError, ChannelInfo, Entry, EntryId, Expect, Group, GroupSpec, LiveEntry,
    LiveItem, Outgoing, PutOutcome, ReadFrom, ServerInfo, TableChange, Versioned,
};

use self::keys::Keys;
use self::link::{Call, Link, Server};
use self::subscriber::Subscriber;

/// How long a call on the shared connection may take before the connection counts as broken.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepares connections to a server; they are made when they are first needed and again whenever
/// they break, so a server that is down is no error here.
///
/// # Errors
/// [`BusError::Config`] when the address cannot be used.
pub fn connect(url: &str, prefix: &str) -> Result<Arc<dyn Backend>, BusError> {
    let closed = CancellationToken::new();
    let tasks = TaskTracker::new();
    let server = Arc::new(Server::open(url)?);
    let link = Link::new(Arc::clone(&server), closed.clone(), Some(CALL_TIMEOUT));
    let subscriber = Subscriber::new(Arc::clone(&server), closed.clone(), tasks.clone());
    let core = Core {
        server,
        link,
        subscriber,
        keys: Keys::new(prefix),
        closed,
        tasks,
    };
    Ok(Arc::new(RedisBus {
        core: Arc::new(core),
    }))
}

/// What every part of the backend shares.
struct Core {
    server: Arc<Server>,
    /// The connection everyone writes and asks through; nothing on it ever blocks.
    link: Link,
    subscriber: Subscriber,
    keys: Keys,
    closed: CancellationToken,
    tasks: TaskTracker,
}

struct RedisBus {
    core: Arc<Core>,
}

#[async_trait]
impl Backend for RedisBus {
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<EntryId>, BusError> {
        channel::publish(&self.core, batch).await
    }

    async fn group(&self, spec: GroupSpec) -> Result<Group, BusError> {
        membership::join(Arc::clone(&self.core), spec).await
    }

    async fn read(
        &self,
        channel: &str,
        from: ReadFrom,
        limit: usize,
    ) -> Result<Vec<Entry>, BusError> {
        channel::read(&self.core, channel, from, limit).await
    }

    async fn backlog(&self, channel: &str, group: &str) -> Result<Backlog, BusError> {
        channel::backlog(&self.core, channel, group).await
    }

    async fn trim(&self, channel: &str, retain: Duration) -> Result<u64, BusError> {
        channel::trim(&self.core, channel, retain).await
    }

    async fn channels(&self) -> Result<Vec<ChannelInfo>, BusError> {
        channel::list(&self.core).await
    }

    async fn incarnation(&self, channel: &str) -> Result<String, BusError> {
        channel::incarnation(&self.core, channel).await
    }

    async fn table_get(&self, table: &str, key: &str) -> Result<Option<Versioned>, BusError> {
        table::get(&self.core, table, key).await
    }

    async fn table_put(
        &self,
        table: &str,
        key: &str,
        value: Bytes,
        expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        table::write(&self.core, table, key, Some(value), expect).await
    }

    async fn table_delete(
        &self,
        table: &str,
        key: &str,
        expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        table::write(&self.core, table, key, None, expect).await
    }

    async fn table_list(&self, table: &str) -> Result<Vec<Versioned>, BusError> {
        Ok(table::snapshot(&self.core, table).await?.values)
    }

    async fn table_watch(&self, table: &str) -> Result<BoxStream<'static, TableChange>, BusError> {
        Ok(watch::watch(Arc::clone(&self.core), table))
    }

    async fn live_publish(&self, topic: &str, entries: &[LiveEntry]) -> Result<u64, BusError> {
        live::publish(&self.core, topic, entries).await
    }

    async fn live_subscribe(
        &self,
        topic: &str,
        after: u64,
    ) -> Result<BoxStream<'static, LiveItem>, BusError> {
        Ok(live::subscribe(Arc::clone(&self.core), topic, after))
    }

    async fn ping(&self) -> Result<(), BusError> {
        self.core
            .link
            .repeat(Call::Command(&::redis::cmd("PING")))
            .await?;
        Ok(())
    }

    async fn info(&self) -> Result<ServerInfo, BusError> {
        info::info(&self.core).await
    }

    async fn close(&self) {
        self.core.closed.cancel();
        self.core.tasks.close();
        self.core.tasks.wait().await;
        self.core.link.forget();
    }
}
