//! A server, a bus on it, and a raw connection beside it.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, FromRedisValue};
use anyhow::{Context, Result, ensure};
use nexus_bus::{
    Bus, BusConfig, BusError, GroupReader, GroupSettler, GroupSpec, Leased, Outgoing, Record,
    Settlement,
};
use nexus_testkit::{RedisServer, redis, redis_with};
use tempfile::TempDir;
use tokio::time::Instant;

/// How long something that must happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A lease that does not end during a test.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// A lease that does.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

pub(crate) struct Setup {
    pub(crate) server: RedisServer,
    pub(crate) bus: Bus,
    raw: MultiplexedConnection,
    folder: TempDir,
}

impl Setup {
    pub(crate) async fn new() -> Result<Self> {
        Self::on(redis().await?).await
    }

    pub(crate) async fn with(options: &[&str]) -> Result<Self> {
        Self::on(redis_with(options).await?).await
    }

    async fn on(server: RedisServer) -> Result<Self> {
        let folder = TempDir::new()?;
        let bus = open(&server, &folder).await?;
        let raw = raw(&server).await?;
        Ok(Self {
            server,
            bus,
            raw,
            folder,
        })
    }

    /// A second bus on the same server, as another process would have.
    pub(crate) async fn another_bus(&self) -> Result<Bus> {
        open(&self.server, &self.folder).await
    }

    /// What anybody may do with `redis-cli`.
    pub(crate) async fn cli<T: FromRedisValue>(&self, line: &[&str]) -> Result<T> {
        let mut command = Cmd::new();
        for word in line {
            command.arg(word);
        }
        Ok(command.query_async(&mut self.raw.clone()).await?)
    }

    pub(crate) async fn join(
        &self,
        group: &str,
        consumer: &str,
        lease: Duration,
    ) -> Result<Member> {
        Member::join(&self.bus, group, consumer, lease).await
    }
}

pub(crate) async fn open(server: &RedisServer, folder: &TempDir) -> Result<Bus> {
    let config = BusConfig::new(server.url().parse()?, folder.path().join("blobs"));
    Ok(Bus::connect(&config).await?)
}

async fn raw(server: &RedisServer) -> Result<MultiplexedConnection> {
    let client = ::redis::Client::open(server.url())?;
    client
        .get_multiplexed_async_connection()
        .await
        .context("a raw connection")
}

/// A consumer of channel `work`.
pub(crate) struct Member {
    pub(crate) reader: Box<dyn GroupReader>,
    pub(crate) settler: Arc<dyn GroupSettler>,
}

impl Member {
    pub(crate) async fn join(
        bus: &Bus,
        group: &str,
        consumer: &str,
        lease: Duration,
    ) -> Result<Self> {
        let spec = GroupSpec {
            channel: "work".to_owned(),
            group: group.to_owned(),
            consumer: consumer.to_owned(),
            lease,
            max_in_flight: 1000,
        };
        let group = bus.group(spec).await?;
        Ok(Self {
            reader: group.reader,
            settler: group.settler,
        })
    }

    /// Exactly this many, however often the connection breaks.
    pub(crate) async fn take(&mut self, count: usize) -> Result<Vec<Leased>> {
        let deadline = Instant::now() + PATIENCE;
        let mut taken = Vec::new();
        while taken.len() < count {
            ensure!(Instant::now() < deadline, "got {} of {count}", taken.len());
            match self
                .reader
                .next(count - taken.len(), Duration::from_secs(1))
                .await
            {
                Ok(batch) => taken.extend(batch),
                Err(error) => ensure!(error.is_transient(), "{error}"),
            }
        }
        Ok(taken)
    }

    pub(crate) async fn take_one(&mut self) -> Result<Leased> {
        self.take(1).await?.pop().context("one")
    }

    pub(crate) async fn settle(&self, settlement: Settlement) -> Result<(), BusError> {
        let mut results = self.settler.settle(&[settlement]).await;
        results.pop().unwrap_or(Err(BusError::Closed))
    }
}

pub(crate) fn outgoing(channel: &str, text: &str) -> Outgoing {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned().into());
    let record = Record::new([
        field("id", text),
        field("type", "test"),
        field("payload", text),
    ]);
    Outgoing {
        channel: channel.to_owned(),
        record,
    }
}

pub(crate) async fn publish(bus: &Bus, texts: &[&str]) -> Result<()> {
    bus.publish(texts.iter().map(|text| outgoing("work", text)).collect())
        .await?;
    Ok(())
}

pub(crate) fn texts(leased: &[Leased]) -> Vec<String> {
    let text = |leased: &Leased| {
        leased
            .entry
            .record
            .text("payload")
            .unwrap_or("-")
            .to_owned()
    };
    leased.iter().map(text).collect()
}
