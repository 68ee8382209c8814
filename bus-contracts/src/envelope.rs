//! The envelope: what every message looks like on every bus.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{ContractError, CorrelationId, Event, MessageId, Metadata, Timestamp};

/// How the payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentType {
    /// `application/msgpack`, what services write.
    #[serde(rename = "application/msgpack")]
    MessagePack,
    /// `application/json`, accepted from anyone.
    #[serde(rename = "application/json")]
    Json,
}

impl ContentType {
    /// The media type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessagePack => "application/msgpack",
            Self::Json => "application/json",
        }
    }

    /// The type stated, or the one the first byte gives away: a JSON object starts with `{` or
    /// white space, a MessagePack map never does.
    fn of(stated: Option<&str>, payload: &[u8]) -> Result<Self, ContractError> {
        match stated.map(|text| text.split(';').next().unwrap_or(text).trim()) {
            Some("application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack") => {
                Ok(Self::MessagePack)
            }
            Some("application/json" | "text/json") => Ok(Self::Json),
            Some(other) => Err(ContractError::BadField {
                field: "content_type",
                reason: format!("`{other}` is neither application/msgpack nor application/json"),
            }),
            None => match payload.first() {
                Some(b'{' | b' ' | b'\n' | b'\r' | b'\t') => Ok(Self::Json),
                _ => Ok(Self::MessagePack),
            },
        }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One message. Ten flat fields on the wire, so that `redis-cli XRANGE` shows them; fields this
/// version does not know are kept in `extra` and written back.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Unique inside (organisation, channel).
    pub id: MessageId,
    /// The event type, such as `message.submitted`.
    pub event_type: String,
    /// Groups what belongs together; `None` only where a client gave none and nobody assigned one.
    pub correlation_id: Option<CorrelationId>,
    /// When the message was made, by its producer's clock.
    pub timestamp: Timestamp,
    /// How `payload` is written.
    pub content_type: ContentType,
    /// W3C trace context of the producer.
    pub traceparent: Option<String>,
    /// Tenant, run, step, deadline.
    pub metadata: Metadata,
    /// The event.
    pub payload: Bytes,
    /// Fields this version does not know, by name.
    pub extra: BTreeMap<String, Bytes>,
}

/// What the bus knows about a message that its writer may have left out.
#[derive(Clone, Debug)]
pub struct FieldsContext {
    /// Used when the message carries no id: derived by the bus from where the message was stored.
    pub fallback_id: MessageId,
    /// Used when the message carries no timestamp: when the bus stored it.
    pub stored_at: Timestamp,
}

impl Envelope {
    /// Wraps an event. The payload is written as MessagePack with named fields.
    ///
    /// # Errors
    /// [`ContractError::Encode`] when the event cannot be written.
    pub fn new<E: Event>(id: MessageId, at: Timestamp, event: &E) -> Result<Self, ContractError> {
        let payload = rmp_serde::to_vec_named(event).map_err(|error| ContractError::Encode {
            event: E::TYPE,
            reason: error.to_string(),
        })?;
        Ok(Self {
            id,
            event_type: E::TYPE.to_owned(),
            correlation_id: None,
            timestamp: at,
            content_type: ContentType::MessagePack,
            traceparent: None,
            metadata: Metadata::default(),
            payload: payload.into(),
            extra: BTreeMap::new(),
        })
    }

    /// The same envelope with its correlation id set.
    #[must_use]
    pub fn correlated(mut self, id: Option<CorrelationId>) -> Self {
        self.correlation_id = id;
        self
    }

    /// The same envelope with its metadata set.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Reads the event.
    ///
    /// # Errors
    /// [`ContractError::WrongType`] when the envelope carries another event,
    /// [`ContractError::BadPayload`] when the payload does not read as one.
    pub fn decode<E: Event>(&self) -> Result<E, ContractError> {
        if self.event_type != E::TYPE {
            return Err(ContractError::WrongType {
                expected: E::TYPE,
                found: self.event_type.clone(),
            });
        }
        self.decode_payload()
    }

    /// Reads the payload as any type; the event type is not looked at.
    ///
    /// # Errors
    /// [`ContractError::BadPayload`] when the payload does not read as `T`.
    pub fn decode_payload<T: serde::de::DeserializeOwned>(&self) -> Result<T, ContractError> {
        let bad = |reason: String| ContractError::BadPayload {
            event: self.event_type.clone(),
            reason,
        };
        match self.content_type {
            ContentType::MessagePack => {
                rmp_serde::from_slice(&self.payload).map_err(|error| bad(error.to_string()))
            }
            ContentType::Json => {
                serde_json::from_slice(&self.payload).map_err(|error| bad(error.to_string()))
            }
        }
    }

    /// The payload as JSON, for people to read.
    ///
    /// # Errors
    /// [`ContractError::BadPayload`] when it is neither MessagePack nor JSON.
    pub fn payload_json(&self) -> Result<serde_json::Value, ContractError> {
        self.decode_payload()
    }

    /// The flat fields, in the order of the contract; absent ones are left out.
    ///
    /// # Errors
    /// [`ContractError::BadField`] when the metadata cannot be written as JSON.
    pub fn to_fields(&self) -> Result<Vec<(String, Bytes)>, ContractError> {
        let metadata =
            serde_json::to_vec(&self.metadata).map_err(|error| ContractError::BadField {
                field: "metadata",
                reason: error.to_string(),
            })?;
        let text = |value: &str| Bytes::copy_from_slice(value.as_bytes());
        let mut fields = Vec::with_capacity(8 + self.extra.len());
        fields.push(("id".to_owned(), text(self.id.as_str())));
        fields.push(("type".to_owned(), text(&self.event_type)));
        if let Some(id) = &self.correlation_id {
            fields.push(("correlation_id".to_owned(), text(id.as_str())));
        }
        fields.push(("timestamp".to_owned(), self.timestamp.to_string().into()));
        fields.push(("content_type".to_owned(), text(self.content_type.as_str())));
        if let Some(parent) = &self.traceparent {
            fields.push(("traceparent".to_owned(), text(parent)));
        }
        fields.push(("metadata".to_owned(), metadata.into()));
        fields.push(("payload".to_owned(), self.payload.clone()));
        fields.extend(
            self.extra
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        Ok(fields)
    }

    /// Reads flat fields. Only `type` and `payload` are required.
    ///
    /// # Errors
    /// [`ContractError::MissingField`] or [`ContractError::BadField`].
    pub fn from_fields(
        fields: impl IntoIterator<Item = (String, Bytes)>,
        context: &FieldsContext,
    ) -> Result<Self, ContractError> {
        let mut extra: BTreeMap<String, Bytes> = fields.into_iter().collect();
        let payload = extra
            .remove("payload")
            .ok_or(ContractError::MissingField { field: "payload" })?;
        let event_type = take_text(&mut extra, "type")?
            .filter(|name| !name.is_empty())
            .ok_or(ContractError::MissingField { field: "type" })?;
        let stated = take_text(&mut extra, "content_type")?;
        let content_type = ContentType::of(stated.as_deref(), &payload)?;
        let id = match take_text(&mut extra, "id")? {
            Some(id) => MessageId::new(id)?,
            None => context.fallback_id.clone(),
        };
        let correlation_id = take_text(&mut extra, "correlation_id")?
            .map(CorrelationId::new)
            .transpose()?;
        let timestamp = match take_text(&mut extra, "timestamp")? {
            Some(text) => text.parse()?,
            None => context.stored_at,
        };
        let metadata = match take_text(&mut extra, "metadata")? {
            Some(text) if !text.is_empty() => {
                serde_json::from_str(&text).map_err(|error| ContractError::BadField {
                    field: "metadata",
                    reason: error.to_string(),
                })?
            }
            _ => Metadata::default(),
        };
        Ok(Self {
            id,
            event_type,
            correlation_id,
            timestamp,
            content_type,
            traceparent: take_text(&mut extra, "traceparent")?,
            metadata,
            payload,
            extra,
        })
    }
}

fn take_text(
    fields: &mut BTreeMap<String, Bytes>,
    field: &'static str,
) -> Result<Option<String>, ContractError> {
    fields
        .remove(field)
        .map(|bytes| {
            String::from_utf8(bytes.to_vec()).map_err(|error| ContractError::BadField {
                field,
                reason: format!("not UTF-8: {error}"),
            })
        })
        .transpose()
}
