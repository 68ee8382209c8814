//! Replies to whoever waits live: the worker's side of [`crate::request`].

use bytes::Bytes;
use nexus_bus::{Blobs, Bus, BusError, LiveEntry, Outgoing, Record};
use nexus_contracts::{ContentType, ContractError, Envelope, FieldsContext, MessageId, Timestamp};
use serde_json::{Map, Value};

/// The field by which a message asks for live replies.
pub(crate) const REPLY_FIELD: &str = "reply";

/// Its value.
pub(crate) const REPLY_LIVE: &str = "live";

/// The live stream on which a message is answered.
pub(crate) fn topic(id: &MessageId) -> String {
    format!("reply:{id}")
}

/// Whether this message asks for live replies.
pub(super) fn is_wanted(record: &Record) -> bool {
    record
        .get(REPLY_FIELD)
        .is_some_and(|value| value.as_ref() == REPLY_LIVE.as_bytes())
}

/// What was stored for a message, on its way to whoever waits.
pub(super) struct Reply {
    topic: String,
    records: Vec<Record>,
}

impl Reply {
    /// `None` when there is nothing to say.
    pub(super) fn new(record: &Record, publish: &[Outgoing]) -> Option<Self> {
        let id = MessageId::new(record.text("id")?).ok()?;
        let records: Vec<_> = publish.iter().map(|one| one.record.clone()).collect();
        (!records.is_empty()).then(|| Self {
            topic: topic(&id),
            records,
        })
    }

    /// Sends it. Live is lossy: whoever hears nothing asks again.
    pub(super) async fn send(self, bus: &Bus) {
        if let Err(error) = self.publish(bus).await {
            tracing::debug!(%error, "a live reply was lost; it will be asked for again");
        }
    }

    /// Large payloads go the way of those in channels: a live stream has less room than a channel.
    async fn publish(self, bus: &Bus) -> Result<(), BusError> {
        let mut entries = Vec::new();
        for mut record in self.records {
            bus.blobs().check_in(&mut record).await?;
            entries.extend(encode(&record).map(|data| LiveEntry {
                snapshot: true,
                data: data.into(),
            }));
        }
        bus.live_publish(&self.topic, &entries).await?;
        Ok(())
    }
}

/// A record as JSON: its fields as texts, the payload as JSON text unless it is in the blobs.
fn encode(record: &Record) -> Option<String> {
    let mut object = Map::new();
    for (name, value) in record.fields() {
        let text = String::from_utf8_lossy(value).into_owned();
        object.insert(name.clone(), Value::String(text));
    }
    if record.get("payload").is_some() {
        let (payload, json) = (as_json(record)?, ContentType::Json.as_str().to_owned());
        object.insert("payload".to_owned(), Value::String(payload));
        object.insert("content_type".to_owned(), Value::String(json));
    }
    serde_json::to_string(&object).ok()
}

fn as_json(record: &Record) -> Option<String> {
    let context = FieldsContext {
        fallback_id: MessageId::new("reply").ok()?,
        stored_at: Timestamp::from_millis(0),
    };
    let envelope = Envelope::from_fields(record.fields().to_vec(), &context).ok()?;
    Some(envelope.payload_json().ok()?.to_string())
}

/// Why a reply cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Contract(#[from] ContractError),
    #[error("its fields: {0}")]
    Fields(#[from] serde_json::Error),
    #[error("its payload: {0}")]
    Payload(#[from] BusError),
}

/// The other way round.
///
/// # Errors
/// When it is not what [`encode`] writes, or its payload is not to be had.
pub(crate) async fn decode(
    blobs: &Blobs,
    data: &[u8],
    now: Timestamp,
) -> Result<Envelope, Unreadable> {
    let fields: std::collections::BTreeMap<String, String> = serde_json::from_slice(data)?;
    let fields = fields.into_iter();
    let mut record = Record::new(fields.map(|(name, text)| (name, Bytes::from(text))));
    blobs.check_out(&mut record).await?;
    let context = FieldsContext {
        fallback_id: MessageId::new("reply")?,
        stored_at: now,
    };
    Ok(Envelope::from_fields(record.into_fields(), &context)?)
}
