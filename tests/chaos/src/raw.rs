//! Asking on the bus, as a client of any language does: JSON, an id, and a channel of one's own.
//!
//! What is on the bus is answered as long as the bus keeps it. So a question is put again, under the
//! same id, only when the bus may have lost it; a client that always repeated itself would hide a
//! worker that loses messages.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use nexus_bus::{Bus, Delivery, Group, GroupSpec, Outgoing, Record};
use nexus_contracts::{Envelope, FieldsContext, MessageId, Timestamp, channels};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::history::Ending;
use crate::log::{Heard, Log, Owned};
use crate::talk::Question;

/// The group in which clients read their answers.
pub const GROUP: &str = "chaos-client";

/// Between two tries to reach the bus.
const PAUSE: Duration = Duration::from_millis(200);

/// How long one try to reach the bus may take: a connection that a proxy swallowed never answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client on the bus.
pub struct Raw {
    bus: Bus,
    client: Client,
}

impl Raw {
    /// Asks for this client.
    #[must_use]
    pub const fn new(bus: Bus, client: Client) -> Self {
        Self { bus, client }
    }

    /// Asks until there is an outcome, which [`Raw::listen`] hears.
    pub async fn ask(&self, log: &Log, question: &Question) -> Heard {
        let mut losses = log.losses();
        let mut first = true;
        let answered = log.first_reply(&question.id);
        tokio::pin!(answered);
        loop {
            losses.borrow_and_update();
            let again = first && question.twice;
            let put = async {
                self.put(question).await;
                if again {
                    self.put(question).await;
                }
                log.accepted(&question.id);
                // Only a loss is a reason to say it again.
                let _ended = losses.changed().await;
            };
            tokio::select! {
                heard = &mut answered => {
                    // The reply may be here before the bus has said that it has the question.
                    log.accepted(&question.id);
                    return self.remember(log, question, heard);
                }
                () = put => first = false,
            }
        }
    }

    fn remember(&self, log: &Log, question: &Question, heard: Heard) -> Heard {
        if let (Some(conversation), Ending::Completed) = (&heard.conversation, heard.ending) {
            log.owns(Owned {
                client: self.client.configured().to_owned(),
                label: question.label.clone(),
                conversation: conversation.clone(),
                run: question.id.clone(),
            });
        }
        heard
    }

    async fn put(&self, question: &Question) {
        let mut payload = json!({ "text": question.text });
        if let (Some(conversation), Some(payload)) =
            (&question.conversation, payload.as_object_mut())
        {
            payload.insert("conversation_id".to_owned(), conversation.as_str().into());
        }
        let fields = [
            ("id", question.id.clone()),
            ("type", "message.submitted".to_owned()),
            ("correlation_id", question.id.clone()),
            ("payload", payload.to_string()),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
        let outgoing = Outgoing {
            channel: channels::incoming(self.client.name),
            record: Record::new(fields),
        };
        loop {
            let publish = self.bus.publish(vec![outgoing.clone()]);
            match tokio::time::timeout(PATIENCE, publish).await {
                Ok(Ok(_)) => return,
                // Stored or not: the id is the same, so once more does no harm.
                Ok(Err(_)) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Writes down every reply to this client until the run ends.
    ///
    /// # Errors
    /// When a reply cannot be read.
    pub async fn listen(&self, log: &Log, end: &CancellationToken) -> Result<()> {
        end.run_until_cancelled(self.listen_on(log))
            .await
            .unwrap_or(Ok(()))
    }

    async fn listen_on(&self, log: &Log) -> Result<()> {
        loop {
            let spec = GroupSpec {
                channel: channels::processed(self.client.name),
                group: GROUP.to_owned(),
                consumer: uuid::Uuid::now_v7().to_string(),
                lease: Duration::from_secs(5),
                max_in_flight: 1024,
            };
            match self.bus.group(spec).await {
                Ok(mut group) => self.hear_all(log, &mut group).await?,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn hear_all(&self, log: &Log, group: &mut Group) -> Result<()> {
        loop {
            let Ok(batch) = group.reader.next(256, Duration::from_secs(1)).await else {
                // Usable again once the bus is.
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let mut settlements = Vec::with_capacity(batch.len());
            for leased in batch {
                self.hear(log, &leased.entry)?;
                settlements.push(Delivery::new(leased).ack(Vec::new()));
            }
            // What is not acknowledged comes again, and is the same reply.
            drop(group.settler.settle(&settlements).await);
        }
    }

    fn hear(&self, log: &Log, entry: &nexus_bus::Entry) -> Result<()> {
        let context = FieldsContext {
            fallback_id: MessageId::new(entry.id.to_string())?,
            stored_at: Timestamp::from_millis(entry.stored_at_ms),
        };
        let envelope = Envelope::from_fields(entry.record.clone().into_fields(), &context)?;
        let ending = match envelope.event_type.as_str() {
            "message.completed" => Ending::Completed,
            "message.failed" => Ending::Failed,
            _ => return Ok(()),
        };
        let payload = envelope.payload_json()?;
        let field = |name: &str| payload.get(name).and_then(Value::as_str);
        let text = match ending {
            Ending::Completed => field("text").unwrap_or_default().to_owned(),
            Ending::Failed => format!(
                "{}: {}",
                field("code").unwrap_or_default(),
                field("detail").unwrap_or_default()
            ),
        };
        let request = envelope
            .correlation_id
            .context("a reply without a correlation id")?;
        let heard = Heard {
            reply: envelope.id.to_string(),
            ending,
            text,
            conversation: field("conversation_id").map(str::to_owned),
        };
        log.replied(self.client.configured(), request.as_str(), heard);
        Ok(())
    }
}
