//! Every message, as it was.

use nexus_store::{TenantRef, Value};

use super::{org, plain};
use crate::error::Error;
use crate::fact::Recorded;

pub(super) async fn insert(tx: &TenantRef<'_>, messages: &[&Recorded]) -> Result<(), Error> {
    let mut values = Vec::with_capacity(messages.len() * 13);
    for recorded in messages {
        let envelope = &recorded.envelope;
        let metadata = serde_json::to_string(&envelope.metadata).map_err(|error| Error::Row {
            table: "archive",
            reason: error.to_string(),
        })?;
        values.extend([
            org(tx),
            Value::from(recorded.user.map(|id| id.to_string())),
            Value::from(recorded.channel.clone()),
            Value::from(recorded.entry_id.clone()),
            Value::from(envelope.id.to_string()),
            plain(&envelope.event_type),
            Value::from(recorded.correlation_id.as_ref().map(ToString::to_string)),
            Value::from(recorded.conversation_id.map(|id| id.to_string())),
            Value::from(recorded.run_id.map(|id| id.to_string())),
            Value::from(recorded.stored_at),
            Value::from(envelope.content_type.as_str().to_owned()),
            Value::from(metadata),
            Value::from(envelope.payload.to_vec()),
        ]);
    }
    let head = "INSERT INTO archive (org_id, user_id, channel, entry_id, message_id, event_type, \
                correlation_id, conversation_id, run_id, at, content_type, metadata, \
                payload) VALUES";
    Ok(tx
        .later_rows(head, "ON CONFLICT DO NOTHING", 13, values)
        .await?)
}
