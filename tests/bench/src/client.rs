//! A client as others write one: puts questions on the bus and reads the answers, keeping a number
//! of them in flight.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use nexus_bus::{Bus, Delivery, Group, GroupSpec, Outgoing, Record};
use nexus_contracts::channels;
use tokio::time::Instant;
use uuid::Uuid;

/// Longest silence before the run counts as failed.
const SILENCE: Duration = Duration::from_secs(30);

/// Asks and waits.
pub(crate) struct Client {
    bus: Bus,
    group: Group,
    text: &'static str,
    asked: HashMap<String, Instant>,
}

/// What a run gave.
pub(crate) struct Ran {
    /// From question to answer.
    pub(crate) times: Vec<Duration>,
    /// From the first question to the last answer.
    pub(crate) elapsed: Duration,
}

impl Client {
    /// A client that asks this.
    pub(crate) async fn new(bus: &Bus, text: &'static str) -> Result<Self> {
        let spec = GroupSpec {
            channel: channels::REQUESTS_PROCESSED.to_owned(),
            group: "bench".to_owned(),
            consumer: Uuid::now_v7().to_string(),
            lease: Duration::from_secs(60),
            max_in_flight: 10_000,
        };
        let group = bus.group(spec).await?;
        Ok(Self {
            bus: bus.clone(),
            group,
            text,
            asked: HashMap::new(),
        })
    }

    /// Asks `turns` questions, `in_flight` at a time, each in a conversation of its own.
    pub(crate) async fn ask(&mut self, turns: usize, in_flight: usize) -> Result<Ran> {
        let started = Instant::now();
        let mut times = Vec::with_capacity(turns);
        self.put(in_flight.min(turns)).await?;
        let mut asked = in_flight.min(turns);
        while times.len() < turns {
            let answered = self.answers().await?;
            times.extend_from_slice(&answered);
            let more = answered.len().min(turns - asked);
            self.put(more).await?;
            asked += more;
        }
        Ok(Ran {
            times,
            elapsed: started.elapsed(),
        })
    }

    async fn put(&mut self, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let mut batch = Vec::with_capacity(count);
        for _ in 0..count {
            let id = Uuid::now_v7().to_string();
            let payload = serde_json::json!({ "text": self.text }).to_string();
            let fields = [
                ("id", id.clone()),
                ("type", "message.submitted".to_owned()),
                ("correlation_id", id.clone()),
                ("payload", payload),
            ];
            let fields = fields.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
            batch.push(Outgoing {
                channel: channels::REQUESTS_INCOMING.to_owned(),
                record: Record::new(fields),
            });
            self.asked.insert(id, Instant::now());
        }
        self.bus.publish(batch).await?;
        Ok(())
    }

    /// Times of the answers that came with the next read.
    async fn answers(&mut self) -> Result<Vec<Duration>> {
        let silent = Instant::now();
        loop {
            let batch = self.group.reader.next(1024, Duration::from_secs(1)).await?;
            ensure!(silent.elapsed() < SILENCE, "no answer for {SILENCE:?}");
            let mut times = Vec::new();
            let mut settlements = Vec::with_capacity(batch.len());
            for leased in batch {
                let record = &leased.entry.record;
                ensure!(
                    record.text("type") != Some("message.failed"),
                    "a question failed"
                );
                if record.text("type") == Some("message.completed") {
                    let id = record.text("correlation_id").context("no correlation id")?;
                    // An answer that is published again after a hiccup counts once.
                    times.extend(self.asked.remove(id).map(|asked| asked.elapsed()));
                }
                settlements.push(Delivery::new(leased).ack(Vec::new()));
            }
            for settled in self.group.settler.settle(&settlements).await {
                settled?;
            }
            if !times.is_empty() {
                return Ok(times);
            }
        }
    }
}
