//! The embedded backend: a `SQLite` file with one owner process.
//!
//! The file is the log; who has what is known in memory, because there is one owner. One thread
//! writes, and commits whatever is queued together; an acknowledgement costs no row, only its share
//! of one row per group and commit.

mod beside;
mod checkpoint;
mod codec;
mod command;
mod delivery;
mod failure;
mod link;
mod live;
mod load;
mod lock;
mod member;
mod query;
mod schema;
mod state;
mod tables;
mod transaction;
mod trim;
mod watch;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use parking_lot::RwLock;

use self::beside::Beside;
use self::checkpoint::Checkpoints;
use self::command::{Command, TableWrite};
use self::link::{Link, appends};
use self::live::Live;
use self::lock::OwnerLock;
use self::member::{EmbeddedReader, EmbeddedSettler};
use self::state::{Channel, Member, Shared};
use self::tables::Watchers;
use self::trim::TRIM_CHUNK;
use self::writer::Writer;
use crate::clock::now_ms;
use crate::{
    Backend, Backlog, BusConfig, BusError, BusUrl, ChannelInfo, Durability, Entry, EntryId, Expect,
    Group, GroupSpec, LiveEntry, LiveItem, Outgoing, PutOutcome, ReadFrom, ServerInfo, TableChange,
    Versioned,
};

/// Opens the file the configuration names, as its owner or beside it.
///
/// # Errors
/// [`BusError::File`] when another process owns it, when it is damaged or not a bus.
pub async fn open(config: &BusConfig) -> Result<Arc<dyn Backend>, BusError> {
    match &config.url {
        BusUrl::Embedded {
            path,
            read_only: true,
        } => Ok(Arc::new(Beside::open(path)?)),
        BusUrl::Embedded {
            path,
            read_only: false,
        } => Ok(Arc::new(
            Embedded::open(path, config.durability, None).await?,
        )),
        BusUrl::Redis(_) | BusUrl::Nats(_) => Err(BusError::Config(
            "the embedded bus needs an `embedded:` url".to_owned(),
        )),
    }
}

/// The owner's end of the file.
pub struct Embedded {
    link: Link,
    live: Live,
    durability: Durability,
}

impl Embedded {
    /// Takes the file over; what an earlier owner had handed out and not settled is due at once.
    /// With `max_bytes` the file takes no more than that: writers get [`BusError::Full`].
    ///
    /// # Errors
    /// [`BusError::File`] when another process owns it, when it is damaged or not a bus.
    pub async fn open(
        path: &Path,
        durability: Durability,
        max_bytes: Option<u64>,
    ) -> Result<Self, BusError> {
        let owned = path.to_owned();
        let started = move || start(&owned, durability, max_bytes);
        let link = tokio::task::spawn_blocking(started)
            .await
            .or(Err(BusError::Closed))??;
        let live = Live::new(link.shared.closed.clone());
        Ok(Self {
            link,
            live,
            durability,
        })
    }

    fn member(&self, channel: &str, group: &str) -> Option<Member> {
        let channel = self.link.shared.channel(channel)?;
        let group = channel.groups.read().get(group).cloned()?;
        Some(Member { channel, group })
    }

    async fn channel(&self, name: &str) -> Result<Arc<Channel>, BusError> {
        match self.link.shared.channel(name) {
            Some(channel) => Ok(channel),
            None => {
                let channel = name.to_owned();
                self.link
                    .ask(|reply| Command::Create { channel, reply })
                    .await?
            }
        }
    }
}

fn start(path: &Path, durability: Durability, max_bytes: Option<u64>) -> Result<Link, BusError> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder)
            .map_err(|error| failure::file(folder, error.to_string()))?;
    }
    let lock = OwnerLock::take(path)?;
    let connection = schema::open_owner(path, durability, max_bytes)?;
    let (channels, durables) = load::load(path, &connection, now_ms())?;
    let checkpoints = Checkpoints::start(path, durability)?;
    let channels = channels
        .into_iter()
        .map(|c| (c.name.clone(), Arc::new(c)))
        .collect();
    let shared = Arc::new(Shared {
        path: path.to_owned(),
        channels: RwLock::new(channels),
        watchers: Watchers::default(),
        closed: tokio_util::sync::CancellationToken::new(),
    });
    let (queue, commands) = channel();
    let writer = Writer {
        connection,
        shared: Arc::clone(&shared),
        durables,
        lock,
        checkpoints,
    };
    std::thread::Builder::new()
        .name("bus-writer".to_owned())
        .spawn(move || writer.run(&commands))
        .map_err(|error| failure::file(path, format!("no thread to write with: {error}")))?;
    Ok(Link::new(shared, queue))
}

#[async_trait]
impl Backend for Embedded {
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<EntryId>, BusError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let appends = appends(batch)?;
        self.link
            .ask(|reply| Command::Publish { appends, reply })
            .await?
    }

    async fn group(&self, spec: GroupSpec) -> Result<Group, BusError> {
        let (channel, group) = (spec.channel, spec.group);
        let member = match self.member(&channel, &group) {
            Some(member) => member,
            None => {
                self.link
                    .ask(|reply| Command::Join {
                        channel,
                        group,
                        reply,
                    })
                    .await??
            }
        };
        let (link, lease) = (self.link.clone(), spec.lease);
        let reader = EmbeddedReader {
            link: link.clone(),
            member: member.clone(),
            lease,
        };
        let settler = EmbeddedSettler {
            link,
            member,
            lease,
        };
        Ok(Group {
            reader: Box::new(reader),
            settler: Arc::new(settler),
        })
    }

    async fn read(
        &self,
        channel: &str,
        from: ReadFrom,
        limit: usize,
    ) -> Result<Vec<Entry>, BusError> {
        let Some(channel) = self.link.shared.channel(channel) else {
            return Ok(Vec::new());
        };
        let source = Arc::clone(&channel);
        let query = move |db: &rusqlite::Connection| query::read(db, &source, from, limit);
        let stored = self.link.readers.query(query).await?;
        Ok(stored
            .into_iter()
            .map(|stored| channel.entry(stored))
            .collect())
    }

    async fn backlog(&self, channel: &str, group: &str) -> Result<Backlog, BusError> {
        let Some(Member { channel, group }) = self.member(channel, group) else {
            return Ok(Backlog::default());
        };
        let (undelivered, pending, floor) = {
            let deliveries = group.deliveries.lock();
            let undelivered = channel.head().saturating_sub(deliveries.delivered());
            (undelivered, deliveries.pending(), deliveries.floor())
        };
        if undelivered + pending == 0 {
            return Ok(Backlog::default());
        }
        let age = move |db: &rusqlite::Connection| query::age(db, &channel, floor, now_ms());
        let oldest_age = self.link.readers.query(age).await?;
        Ok(Backlog {
            undelivered,
            pending,
            oldest_age,
        })
    }

    async fn trim(&self, channel: &str, retain: Duration) -> Result<u64, BusError> {
        let Some(channel) = self.link.shared.channel(channel) else {
            return Ok(0);
        };
        let retain = i64::try_from(retain.as_millis()).unwrap_or(i64::MAX);
        let before_ms = now_ms().saturating_sub(retain);
        let mut total = 0;
        loop {
            let channel = Arc::clone(&channel);
            let ask = |reply| Command::Trim {
                channel,
                before_ms,
                reply,
            };
            let dropped = self.link.ask(ask).await??;
            total += dropped;
            if dropped < TRIM_CHUNK {
                return Ok(total);
            }
        }
    }

    async fn channels(&self) -> Result<Vec<ChannelInfo>, BusError> {
        let channels = self.link.shared.channels.read();
        let info = |channel: &Arc<Channel>| {
            query::info(channel, channel.groups.read().keys().cloned().collect())
        };
        Ok(channels.values().map(info).collect())
    }

    async fn incarnation(&self, channel: &str) -> Result<String, BusError> {
        Ok(self.channel(channel).await?.incarnation.clone())
    }

    async fn table_get(&self, table: &str, key: &str) -> Result<Option<Versioned>, BusError> {
        let (table, key) = (table.to_owned(), key.to_owned());
        self.link
            .readers
            .query(move |db| tables::get(db, &table, &key))
            .await
    }

    async fn table_put(
        &self,
        table: &str,
        key: &str,
        value: Bytes,
        expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        let (table, key) = (table.to_owned(), key.to_owned());
        let write = TableWrite {
            table,
            key,
            value: Some(value),
            expect,
        };
        self.link
            .ask(|reply| Command::Table { write, reply })
            .await?
    }

    async fn table_delete(
        &self,
        table: &str,
        key: &str,
        expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        let (table, key) = (table.to_owned(), key.to_owned());
        let write = TableWrite {
            table,
            key,
            value: None,
            expect,
        };
        self.link
            .ask(|reply| Command::Table { write, reply })
            .await?
    }

    async fn table_list(&self, table: &str) -> Result<Vec<Versioned>, BusError> {
        let table = table.to_owned();
        Ok(self
            .link
            .readers
            .query(move |db| tables::list(db, &table))
            .await?
            .1)
    }

    async fn table_watch(&self, table: &str) -> Result<BoxStream<'static, TableChange>, BusError> {
        watch::watch(&self.link, table).await
    }

    async fn live_publish(&self, topic: &str, entries: &[LiveEntry]) -> Result<u64, BusError> {
        Ok(self.live.publish(topic, entries))
    }

    async fn live_subscribe(
        &self,
        topic: &str,
        after: u64,
    ) -> Result<BoxStream<'static, LiveItem>, BusError> {
        Ok(self.live.subscribe(topic, after))
    }

    async fn ping(&self) -> Result<(), BusError> {
        match self.link.shared.closed.is_cancelled() {
            true => Err(BusError::Closed),
            false => Ok(()),
        }
    }

    async fn info(&self) -> Result<ServerInfo, BusError> {
        Ok(query::server(match self.durability {
            Durability::Group => {
                "survives kill -9; a power cut may cost the last second".to_owned()
            }
            Durability::Os => {
                "survives kill -9; a power cut may cost what was not written back".to_owned()
            }
            Durability::Always => "survives a power cut".to_owned(),
        }))
    }

    async fn close(&self) {
        // Fails only when it is closed already.
        let _ = self.link.ask(|reply| Command::Close { reply }).await;
        self.link.readers.close();
    }
}
