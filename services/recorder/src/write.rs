//! Writing a batch: the archive and the read models, one multi-row statement a table.

use std::collections::BTreeMap;

use nexus_contracts::{OrgId, Timestamp};
use nexus_store::{Store, TenantRef, Value};

use crate::error::Error;
use crate::fact::{Changes, Recorded, RunRow};

/// Writes messages in one transaction. Writing them again changes nothing.
///
/// # Errors
/// When the database refuses; nothing is written then.
pub async fn write(store: &Store, batch: &[(i64, Recorded)]) -> Result<(), Error> {
    let mut by_org: BTreeMap<OrgId, Vec<&(i64, Recorded)>> = BTreeMap::new();
    for recorded in batch {
        by_org.entry(recorded.1.org).or_default().push(recorded);
    }
    let tx = store.begin_shared().await?;
    for (org, messages) in by_org {
        let tenant = tx.tenant(org);
        archive(&tenant, &messages).await?;
        let mut changes = Changes::default();
        messages
            .iter()
            .for_each(|(_, recorded)| changes.add(recorded));
        conversations(&tenant, &changes).await?;
        said(&tenant, &changes).await?;
        runs(&tenant, changes.runs).await?;
    }
    Ok(tx.commit().await?)
}

/// Most messages forgotten in one transaction: nobody waits longer for the one writer of `SQLite`.
const PRUNED_AT_ONCE: u64 = 1_000;

/// Forgets messages stored before this moment, in slices.
///
/// # Errors
/// When the database refuses.
pub async fn prune(store: &Store, before: Timestamp) -> Result<u64, Error> {
    let sql = format!(
        "DELETE FROM archive WHERE seq IN \
         (SELECT seq FROM archive WHERE at < $1 ORDER BY at LIMIT {PRUNED_AT_ONCE})"
    );
    let mut gone = 0;
    loop {
        let tx = store.begin_shared().await?;
        let slice = tx
            .execute(&sql, vec![Value::from(before.as_millis())])
            .await?;
        tx.commit().await?;
        gone += slice;
        if slice < PRUNED_AT_ONCE {
            return Ok(gone);
        }
    }
}

/// Text as both databases take it: PostgreSQL refuses NUL, which a client may well have sent.
fn plain(text: &str) -> Value {
    Value::from(text.replace('\0', "\u{fffd}"))
}

async fn archive(tx: &TenantRef<'_>, messages: &[&(i64, Recorded)]) -> Result<(), Error> {
    let mut values = Vec::with_capacity(messages.len() * 12);
    for (at, recorded) in messages.iter().copied() {
        let envelope = &recorded.envelope;
        let metadata = serde_json::to_string(&envelope.metadata).map_err(|error| Error::Row {
            table: "archive",
            reason: error.to_string(),
        })?;
        values.extend([
            Value::from(tx.org().to_string()),
            Value::from(recorded.channel.clone()),
            Value::from(recorded.entry_id.clone()),
            Value::from(envelope.id.to_string()),
            plain(&envelope.event_type),
            Value::from(recorded.correlation_id.as_ref().map(ToString::to_string)),
            Value::from(recorded.conversation_id.map(|id| id.to_string())),
            Value::from(recorded.run_id.map(|id| id.to_string())),
            Value::from(*at),
            Value::from(envelope.content_type.as_str().to_owned()),
            Value::from(metadata),
            Value::from(envelope.payload.to_vec()),
        ]);
    }
    let head = "INSERT INTO archive (org_id, channel, entry_id, message_id, event_type, \
                correlation_id, conversation_id, run_id, at, content_type, metadata, \
                payload) VALUES";
    tx.execute_rows(head, "ON CONFLICT DO NOTHING", 12, values)
        .await?;
    Ok(())
}

async fn conversations(tx: &TenantRef<'_>, changes: &Changes) -> Result<(), Error> {
    let mut values = Vec::with_capacity(changes.conversations.len() * 5);
    for (id, (user, first, last)) in &changes.conversations {
        values.extend([
            Value::from(tx.org().to_string()),
            Value::from(id.clone()),
            Value::from(user.clone()),
            Value::from(*first),
            Value::from(*last),
        ]);
    }
    let head = "INSERT INTO conversation (org_id, id, user_id, created_at, updated_at) VALUES";
    let tail = "ON CONFLICT (org_id, id) DO UPDATE SET \
                user_id = COALESCE(conversation.user_id, excluded.user_id), \
                created_at = CASE WHEN excluded.created_at < conversation.created_at \
                THEN excluded.created_at ELSE conversation.created_at END, \
                updated_at = CASE WHEN excluded.updated_at > conversation.updated_at \
                THEN excluded.updated_at ELSE conversation.updated_at END";
    tx.execute_rows(head, tail, 5, values).await?;
    Ok(())
}

async fn said(tx: &TenantRef<'_>, changes: &Changes) -> Result<(), Error> {
    let mut values = Vec::with_capacity(changes.said.len() * 6);
    for ((run, role), row) in &changes.said {
        values.extend([
            Value::from(tx.org().to_string()),
            Value::from(run.clone()),
            Value::from((*role).to_owned()),
            Value::from(row.conversation_id.clone()),
            plain(&row.text),
            Value::from(row.at),
        ]);
    }
    let head = "INSERT INTO said (org_id, run_id, role, conversation_id, text, at) VALUES";
    tx.execute_rows(head, "ON CONFLICT DO NOTHING", 6, values)
        .await?;
    Ok(())
}

/// Columns of `run` behind the key, in the order of [`run_values`].
const RUN_COLUMNS: [&str; 12] = [
    "correlation_id",
    "conversation_id",
    "asked_at",
    "accepted_at",
    "ended_at",
    "outcome",
    "code",
    "provider",
    "model",
    "input_tokens",
    "output_tokens",
    "steps",
];

fn run_values(row: RunRow) -> [Value; 12] {
    [
        Value::from(row.correlation_id),
        Value::from(row.conversation_id),
        Value::from(row.asked_at),
        Value::from(row.accepted_at),
        Value::from(row.ended_at),
        Value::from(row.outcome),
        Value::from(row.code),
        Value::from(row.provider),
        Value::from(row.model),
        Value::from(row.input_tokens),
        Value::from(row.output_tokens),
        Value::from(row.steps),
    ]
}

async fn runs(tx: &TenantRef<'_>, runs: BTreeMap<String, RunRow>) -> Result<(), Error> {
    let mut values = Vec::with_capacity(runs.len() * 14);
    for (id, row) in runs {
        values.extend([Value::from(tx.org().to_string()), Value::from(id)]);
        values.extend(run_values(row));
    }
    let fill: Vec<String> = RUN_COLUMNS
        .iter()
        .map(|column| format!("{column} = COALESCE(run.{column}, excluded.{column})"))
        .collect();
    let head = format!(
        "INSERT INTO run (org_id, id, {}) VALUES",
        RUN_COLUMNS.join(", ")
    );
    let tail = format!("ON CONFLICT (org_id, id) DO UPDATE SET {}", fill.join(", "));
    tx.execute_rows(&head, &tail, 14, values).await?;
    Ok(())
}
