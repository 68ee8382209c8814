//! The orchestrator's tables, and the transaction that handles a batch.

pub mod dispatch;
mod fields;
pub mod history;
pub mod load;
pub mod prune;
pub mod schema;
pub mod verify;
pub mod write;

use nexus_bus::{Outgoing, Record};
use nexus_contracts::Envelope;
use nexus_store::Value;

use self::fields::{decode, encode};
use crate::error::Error;

/// A uuid as both databases store it: text, so that a person with a database shell can read it.
pub(crate) fn uuid(id: uuid::Uuid) -> Value {
    Value::from(id.to_string())
}

/// A message as the outbox keeps it.
pub(crate) fn outbox_body(envelope: &Envelope) -> Result<Vec<u8>, Error> {
    encode(&envelope.to_fields()?)
}

/// A message the outbox kept.
pub(crate) fn outbox_outgoing(channel: String, body: &[u8]) -> Result<Outgoing, Error> {
    Ok(Outgoing {
        channel,
        record: Record::new(decode(body)?),
    })
}
