//! Replies to whoever waits live: the worker's side of [`crate::request`].

use nexus_bus::{Bus, LiveEntry, Outgoing, Record};
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
    entries: Vec<LiveEntry>,
}

impl Reply {
    /// `None` when there is nothing to say.
    pub(super) fn new(record: &Record, publish: &[Outgoing]) -> Option<Self> {
        let id = MessageId::new(record.text("id")?).ok()?;
        let entry = |outgoing: &Outgoing| {
            let data = encode(&outgoing.record)?;
            Some(LiveEntry {
                snapshot: true,
                data: data.into(),
            })
        };
        let entries: Vec<_> = publish.iter().filter_map(entry).collect();
        (!entries.is_empty()).then(|| Self {
            topic: topic(&id),
            entries,
        })
    }

    /// Sends it. Live is lossy: whoever hears nothing asks again.
    pub(super) async fn send(self, bus: &Bus) {
        if let Err(error) = bus.live_publish(&self.topic, &self.entries).await {
            tracing::debug!(%error, "a live reply was lost; it will be asked for again");
        }
    }
}

/// A record as JSON: its fields as texts, the payload as JSON text.
fn encode(record: &Record) -> Option<String> {
    let nameless = MessageId::new("reply").ok()?;
    let context = FieldsContext {
        fallback_id: nameless,
        stored_at: Timestamp::from_millis(0),
    };
    let envelope = Envelope::from_fields(record.fields().to_vec(), &context).ok()?;
    let payload = envelope.payload_json().ok()?.to_string();
    let mut object = Map::new();
    for (name, value) in record.fields() {
        let text = String::from_utf8_lossy(value).into_owned();
        let text = match name.as_str() {
            "payload" => payload.clone(),
            "content_type" => continue,
            _ => text,
        };
        object.insert(name.clone(), Value::String(text));
    }
    let json = ContentType::Json.as_str().to_owned();
    object.insert("content_type".to_owned(), Value::String(json));
    serde_json::to_string(&object).ok()
}

/// The other way round.
///
/// # Errors
/// When it is not what [`encode`] writes.
pub(crate) fn decode(data: &[u8], now: Timestamp) -> Result<Envelope, ContractError> {
    let bad = |reason: String| ContractError::BadField {
        field: "reply",
        reason,
    };
    let fields: std::collections::BTreeMap<String, String> =
        serde_json::from_slice(data).map_err(|error| bad(error.to_string()))?;
    let context = FieldsContext {
        fallback_id: MessageId::new("reply")?,
        stored_at: now,
    };
    Envelope::from_fields(
        fields.into_iter().map(|(name, text)| (name, text.into())),
        &context,
    )
}
