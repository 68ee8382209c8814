//! A consumer of a group, and records to give it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_bus::{
    Bus, BusError, Delivery, Entry, GroupReader, GroupSettler, GroupSpec, Leased, Outgoing,
    ReadFrom, Record, Settlement,
};
use tokio::time::Instant;

/// How long something that must happen may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long something that must not happen is given to happen.
pub(crate) const DOUBT: Duration = Duration::from_millis(300);
/// A lease that does not end during a test.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// A lease that ends during a test.
pub(crate) const SHORT: Duration = Duration::from_secs(1);

/// One consumer.
pub(crate) struct Member {
    pub(crate) reader: Box<dyn GroupReader>,
    pub(crate) settler: Arc<dyn GroupSettler>,
}

impl Member {
    pub(crate) async fn join(bus: &Bus, channel: &str, group: &str) -> Result<Self> {
        Self::join_as(bus, channel, group, "one", LONG).await
    }

    pub(crate) async fn join_as(
        bus: &Bus,
        channel: &str,
        group: &str,
        consumer: &str,
        lease: Duration,
    ) -> Result<Self> {
        let spec = GroupSpec {
            channel: channel.to_owned(),
            group: group.to_owned(),
            consumer: consumer.to_owned(),
            lease,
            max_in_flight: 10_000,
        };
        let group = bus.group(spec).await.context("join the group")?;
        Ok(Self {
            reader: group.reader,
            settler: group.settler,
        })
    }

    /// Exactly `count` deliveries, as they come. Keeps asking while the server is away.
    pub(crate) async fn take(&mut self, count: usize) -> Result<Vec<Leased>> {
        let deadline = Instant::now() + PATIENCE;
        let mut taken = Vec::new();
        while taken.len() < count {
            ensure!(
                Instant::now() < deadline,
                "got {} of {count} deliveries",
                taken.len()
            );
            let wanted = count - taken.len();
            match self.reader.next(wanted, Duration::from_secs(1)).await {
                Ok(batch) => {
                    ensure!(batch.len() <= wanted, "got {} of {wanted}", batch.len());
                    taken.extend(batch);
                }
                Err(error) if error.is_transient() => tokio::task::yield_now().await,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(taken)
    }

    pub(crate) async fn take_one(&mut self) -> Result<Leased> {
        self.take(1).await?.pop().context("a delivery")
    }

    /// Nothing arrives.
    pub(crate) async fn take_none(&mut self) -> Result<()> {
        let unwanted = self.reader.next(100, DOUBT).await?;
        ensure!(
            unwanted.is_empty(),
            "got what should not come: {unwanted:?}"
        );
        Ok(())
    }

    pub(crate) async fn settle(&self, settlement: Settlement) -> Result<(), BusError> {
        let mut results = self.settler.settle(&[settlement]).await;
        results
            .pop()
            .unwrap_or_else(|| Err(BusError::Protocol("no result".to_owned())))
    }

    pub(crate) async fn ack(&self, leased: Leased) -> Result<()> {
        Ok(self.settle(Delivery::new(leased).ack(Vec::new())).await?)
    }

    pub(crate) async fn ack_all(&self, all: Vec<Leased>) -> Result<()> {
        let batch: Vec<Settlement> = all
            .into_iter()
            .map(|leased| Delivery::new(leased).ack(Vec::new()))
            .collect();
        let results = self.settler.settle(&batch).await;
        ensure!(results.len() == batch.len(), "one result per settlement");
        results.into_iter().collect::<Result<(), BusError>>()?;
        Ok(())
    }
}

/// A record with this text.
pub(crate) fn record(text: &str) -> Record {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned().into());
    Record::new([
        field("id", &format!("id-{text}")),
        field("type", "test"),
        field("payload", text),
    ])
}

pub(crate) fn outgoing(channel: &str, record: Record) -> Outgoing {
    Outgoing {
        channel: channel.to_owned(),
        record,
    }
}

/// Publishes one record for each text.
pub(crate) async fn publish(bus: &Bus, channel: &str, texts: &[&str]) -> Result<()> {
    let batch = texts
        .iter()
        .map(|text| outgoing(channel, record(text)))
        .collect();
    bus.publish(batch).await?;
    Ok(())
}

/// Publishes `n0`, `n1`, … in one call.
pub(crate) async fn publish_numbers(bus: &Bus, channel: &str, count: usize) -> Result<Vec<String>> {
    let texts: Vec<String> = (0..count).map(|n| format!("n{n}")).collect();
    let batch = texts
        .iter()
        .map(|text| outgoing(channel, record(text)))
        .collect();
    bus.publish(batch).await?;
    Ok(texts)
}

pub(crate) fn payload(record: &Record) -> String {
    String::from_utf8_lossy(record.get("payload").map_or(&[][..], |value| value)).into_owned()
}

pub(crate) fn texts(leased: &[Leased]) -> Vec<String> {
    leased
        .iter()
        .map(|leased| payload(&leased.entry.record))
        .collect()
}

/// Everything in a channel.
pub(crate) async fn contents(bus: &Bus, channel: &str) -> Result<Vec<Entry>> {
    Ok(bus.read(channel, ReadFrom::Start, 10_000).await?)
}

pub(crate) fn entry_texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| payload(&entry.record)).collect()
}
