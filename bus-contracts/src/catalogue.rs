//! Every event there is, in one list: schemas, AsyncAPI, fixtures and `nexus schema` read it.

use schemars::Schema;

use crate::envelope::Envelope;
use crate::error::ContractError;
use crate::events::{
    ApprovalDecided, ApprovalRequested, ConversationBranch, ConversationBranched,
    ConversationConfigure, ConversationDelete, ConversationDeleted, ConversationImport,
    ConversationImported, ConversationRename, ConversationRenamed, ConversationSummarized,
    EmbeddingCompleted, EmbeddingFailed, EmbeddingRequested, Event, InferenceCompleted,
    InferenceFailed, InferenceRequested, MessageAccepted, MessageCompleted, MessageFailed,
    MessageSubmitted, ReceiptRecorded, RunCancel, ToolCompleted, ToolFailed, ToolRequested,
    UsageRecorded,
};

/// What is known about an event without having one.
#[derive(Clone, Copy, Debug)]
pub struct EventSpec {
    /// The name in the field `type`.
    pub event_type: &'static str,
    /// The channel, without an adapter's or client's name.
    pub channel: &'static str,
    /// The current version.
    pub version: u32,
    /// JSON Schema of the payload.
    pub schema: fn() -> Schema,
    /// Reads the payload as this event and writes it again as JSON.
    pub round_trip: fn(&Envelope) -> Result<serde_json::Value, ContractError>,
    /// Reads the payload as this event and writes it again as services do, in MessagePack.
    pub pack: fn(&Envelope) -> Result<bytes::Bytes, ContractError>,
}

const fn spec<E: Event>() -> EventSpec {
    EventSpec {
        event_type: E::TYPE,
        channel: E::CHANNEL,
        version: E::VERSION,
        schema: || schemars::schema_for!(E),
        round_trip: |envelope| {
            let event: E = envelope.decode()?;
            serde_json::to_value(&event).map_err(|error| ContractError::Encode {
                event: E::TYPE,
                reason: error.to_string(),
            })
        },
        pack: |envelope| {
            let event: E = envelope.decode()?;
            Ok(Envelope::new(envelope.id.clone(), envelope.timestamp, &event)?.payload)
        },
    }
}

/// The registry. Adding an event is one line here.
pub const CATALOGUE: &[EventSpec] = &[
    spec::<MessageSubmitted>(),
    spec::<RunCancel>(),
    spec::<ApprovalDecided>(),
    spec::<ConversationRename>(),
    spec::<ConversationConfigure>(),
    spec::<ConversationBranch>(),
    spec::<ConversationDelete>(),
    spec::<ConversationImport>(),
    spec::<MessageAccepted>(),
    spec::<MessageCompleted>(),
    spec::<MessageFailed>(),
    spec::<ApprovalRequested>(),
    spec::<InferenceRequested>(),
    spec::<InferenceCompleted>(),
    spec::<InferenceFailed>(),
    spec::<EmbeddingRequested>(),
    spec::<EmbeddingCompleted>(),
    spec::<EmbeddingFailed>(),
    spec::<UsageRecorded>(),
    spec::<ToolRequested>(),
    spec::<ToolCompleted>(),
    spec::<ToolFailed>(),
    spec::<ConversationRenamed>(),
    spec::<ConversationSummarized>(),
    spec::<ConversationBranched>(),
    spec::<ConversationImported>(),
    spec::<ConversationDeleted>(),
    spec::<ReceiptRecorded>(),
];

/// The spec of an event type, if there is one.
#[must_use]
pub fn find(event_type: &str) -> Option<&'static EventSpec> {
    CATALOGUE.iter().find(|spec| spec.event_type == event_type)
}
