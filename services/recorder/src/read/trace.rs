//! Everything under a correlation id.

use nexus_store::{Row, Store, Value};

use super::Reader;
use crate::error::Error;
use crate::view::{Hop, Run, RunTrace, moment, payload};

/// Everything under a correlation id; `None` when this reader has nothing there.
///
/// # Errors
/// When the database refuses.
pub async fn trace(
    store: &Store,
    reader: Reader,
    correlation_id: &str,
) -> Result<Option<RunTrace>, Error> {
    let about = || {
        let mut values = reader.values();
        values.push(Value::from(correlation_id.to_owned()));
        values
    };
    let tx = store.read(reader.org).await?;
    let hops = tx.query(TRACE, about()).await?;
    let runs = tx.query(RUNS, about()).await?;
    tx.commit().await?;
    if hops.is_empty() && runs.is_empty() {
        return Ok(None);
    }
    let first = hops
        .first()
        .map(|row| row.get::<i64>("at"))
        .transpose()?
        .unwrap_or_default();
    let messages = hops
        .iter()
        .map(|row| hop(row, first))
        .collect::<Result<_, Error>>()?;
    let runs = runs.iter().map(run).collect::<Result<_, Error>>()?;
    Ok(Some(RunTrace {
        correlation_id: correlation_id.to_owned(),
        runs,
        messages,
    }))
}

/// The statement behind [`trace`]; shows at most 10,000 messages. A message that does not say whose
/// it is belongs to whoever has its conversation.
pub const TRACE: &str = "SELECT a.channel, a.event_type, a.message_id, a.at, a.content_type, \
    a.metadata, a.payload FROM archive AS a LEFT JOIN conversation AS c ON c.org_id = a.org_id \
    AND c.id = a.conversation_id WHERE a.org_id = $1 AND a.correlation_id = $3 \
    AND COALESCE(a.user_id, c.user_id) = $2 ORDER BY a.at, a.seq LIMIT 10000";

/// Its runs.
const RUNS: &str = "SELECT r.* FROM run AS r LEFT JOIN conversation AS c ON c.org_id = r.org_id \
    AND c.id = r.conversation_id WHERE r.org_id = $1 AND r.correlation_id = $3 \
    AND COALESCE(r.user_id, c.user_id) = $2 ORDER BY r.asked_at, r.id";

fn run(row: &Row) -> Result<Run, Error> {
    let accepted: Option<i64> = row.get("accepted_at")?;
    let outcome: Option<String> = row.get("outcome")?;
    let running = if accepted.is_some() {
        "running"
    } else {
        "queued"
    };
    let at = |column: &str| -> Result<Option<String>, Error> {
        Ok(row.get::<Option<i64>>(column)?.map(moment))
    };
    Ok(Run {
        run_id: row.get("id")?,
        conversation_id: row.get("conversation_id")?,
        status: outcome.unwrap_or_else(|| running.to_owned()),
        code: row.get("code")?,
        provider: row.get("provider")?,
        model: row.get("model")?,
        input_tokens: row.get("input_tokens")?,
        output_tokens: row.get("output_tokens")?,
        steps: row.get("steps")?,
        asked_at: at("asked_at")?,
        ended_at: at("ended_at")?,
    })
}

fn hop(row: &Row, first: i64) -> Result<Hop, Error> {
    let at: i64 = row.get("at")?;
    let metadata: String = row.get("metadata")?;
    let content_type: String = row.get("content_type")?;
    Ok(Hop {
        channel: row.get("channel")?,
        event_type: row.get("event_type")?,
        id: row.get("message_id")?,
        at: moment(at),
        offset_ms: at - first,
        metadata: serde_json::from_str(&metadata).map_err(|error| Error::Row {
            table: "archive",
            reason: error.to_string(),
        })?,
        payload: payload(&content_type, row.get("payload")?),
    })
}
