//! A client as others write one: puts questions on the bus and reads the answers, keeping a number
//! of them in flight.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use nexus_bus::{Bus, Delivery, Group, GroupSpec, Outgoing, Record};
use nexus_contracts::{ConversationId, Metadata, channels};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

/// Longest silence before the run counts as failed.
const SILENCE: Duration = Duration::from_secs(30);

/// Asks and waits.
pub(crate) struct Client {
    bus: Bus,
    group: Group,
    asked: HashMap<String, Instant>,
}

/// What a run gave.
pub(crate) struct Ran {
    /// From question to answer.
    pub(crate) times: Vec<Duration>,
    /// From the first question to the last answer.
    pub(crate) elapsed: Duration,
}

/// What came of one question.
pub(crate) struct Said {
    /// From question to answer.
    pub(crate) time: Duration,
    /// Where it was said.
    pub(crate) conversation: ConversationId,
}

struct Answer {
    time: Duration,
    /// As it came, not yet read.
    metadata: Option<Bytes>,
}

impl Client {
    /// A client of this bus.
    pub(crate) async fn new(bus: &Bus) -> Result<Self> {
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
            asked: HashMap::new(),
        })
    }

    /// Asks this `turns` times, `in_flight` at a time, each in a conversation of its own.
    pub(crate) async fn ask(&mut self, text: &str, turns: usize, in_flight: usize) -> Result<Ran> {
        let question = json!({ "text": text });
        let started = Instant::now();
        let mut times = Vec::with_capacity(turns);
        let mut asked = in_flight.min(turns);
        self.put(&question, asked).await?;
        while times.len() < turns {
            let answered = self.answers().await?;
            let more = answered.len().min(turns - asked);
            times.extend(answered.into_iter().map(|answer| answer.time));
            self.put(&question, more).await?;
            asked += more;
        }
        Ok(Ran {
            times,
            elapsed: started.elapsed(),
        })
    }

    /// Says one thing and waits for the answer.
    pub(crate) async fn say(
        &mut self,
        conversation: Option<ConversationId>,
        text: &str,
    ) -> Result<Said> {
        let question = match conversation {
            None => json!({ "text": text }),
            Some(id) => json!({ "text": text, "conversation_id": id }),
        };
        self.put(&question, 1).await?;
        let answer = self.answers().await?.pop().context("no answer")?;
        let metadata = answer.metadata.context("an answer without metadata")?;
        let metadata: Metadata = serde_json::from_slice(&metadata)?;
        Ok(Said {
            time: answer.time,
            conversation: metadata
                .conversation_id
                .context("an answer of no conversation")?,
        })
    }

    async fn put(&mut self, question: &Value, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let mut batch = Vec::with_capacity(count);
        for _ in 0..count {
            let id = Uuid::now_v7().to_string();
            let fields = [
                ("id", id.clone()),
                ("type", "message.submitted".to_owned()),
                ("correlation_id", id.clone()),
                ("payload", question.to_string()),
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

    /// The answers that came with the next read.
    async fn answers(&mut self) -> Result<Vec<Answer>> {
        let silent = Instant::now();
        loop {
            let batch = self.group.reader.next(1024, Duration::from_secs(1)).await?;
            ensure!(silent.elapsed() < SILENCE, "no answer for {SILENCE:?}");
            let mut answers = Vec::new();
            let mut settlements = Vec::with_capacity(batch.len());
            for leased in batch {
                let record = &leased.entry.record;
                ensure!(
                    record.text("type") != Some("message.failed"),
                    "a question failed: {}",
                    String::from_utf8_lossy(record.get("payload").map_or(b"", |text| text))
                );
                if record.text("type") == Some("message.completed") {
                    let id = record.text("correlation_id").context("no correlation id")?;
                    // An answer that is published again after a hiccup counts once.
                    answers.extend(self.asked.remove(id).map(|asked| Answer {
                        time: asked.elapsed(),
                        metadata: record.get("metadata").cloned(),
                    }));
                }
                settlements.push(Delivery::new(leased).ack(Vec::new()));
            }
            for settled in self.group.settler.settle(&settlements).await {
                settled?;
            }
            if !answers.is_empty() {
                return Ok(answers);
            }
        }
    }
}
