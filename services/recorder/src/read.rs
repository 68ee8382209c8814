//! Reading: conversations, and everything under a correlation id. All of one organisation.

use nexus_contracts::OrgId;
use nexus_store::{Row, Store, Value};

use crate::error::Error;
use crate::view::{
    Conversation, ConversationList, ConversationSummary, Hop, Run, RunTrace, Said, moment, payload,
    title,
};

/// Most messages of a conversation that are shown.
const MOST_SAID: u32 = 1_000;

/// Where a page of conversations begins: behind the one with this time and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// Its `updated_at`, in milliseconds.
    pub updated_at: i64,
    /// Its id.
    pub id: String,
}

impl Before {
    /// Behind nothing: the first page.
    #[must_use]
    pub fn first() -> Self {
        Self {
            updated_at: i64::MAX,
            id: String::new(),
        }
    }

    /// Reads what [`ConversationList::next`] said.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (updated_at, id) = text.split_once('_')?;
        Some(Self {
            updated_at: updated_at.parse().ok()?,
            id: id.to_owned(),
        })
    }
}

const SUMMARY: &str = "SELECT id, created_at, updated_at, (SELECT text FROM said \
    WHERE said.org_id = conversation.org_id AND said.conversation_id = conversation.id \
    AND said.role = 'user' ORDER BY at LIMIT 1) AS begins FROM conversation";

/// A page of conversations, the most recent first.
///
/// # Errors
/// When the database refuses.
pub async fn conversations(
    store: &Store,
    org: OrgId,
    before: &Before,
    limit: u32,
) -> Result<ConversationList, Error> {
    let sql = format!(
        "{SUMMARY} WHERE org_id = $1 AND (updated_at < $2 OR (updated_at = $2 AND id < $3)) \
         ORDER BY updated_at DESC, id DESC LIMIT {limit}"
    );
    let values = vec![
        Value::from(org.to_string()),
        Value::from(before.updated_at),
        Value::from(before.id.clone()),
    ];
    let tx = store.read(org).await?;
    let rows = tx.query(&sql, values).await?;
    tx.commit().await?;
    let full = rows.len() as u64 == u64::from(limit);
    let next = match rows.last() {
        Some(row) if full => {
            let (at, id): (i64, String) = (row.get("updated_at")?, row.get("id")?);
            Some(format!("{at}_{id}"))
        }
        _ => None,
    };
    let conversations = rows.iter().map(summary).collect::<Result<_, Error>>()?;
    Ok(ConversationList {
        conversations,
        next,
    })
}

/// A conversation with what was said; `None` when this organisation has none of this id.
///
/// # Errors
/// When the database refuses.
pub async fn conversation(
    store: &Store,
    org: OrgId,
    id: &str,
) -> Result<Option<Conversation>, Error> {
    let key = || vec![Value::from(org.to_string()), Value::from(id.to_owned())];
    let tx = store.read(org).await?;
    let found = tx
        .query(&format!("{SUMMARY} WHERE org_id = $1 AND id = $2"), key())
        .await?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT said.role, said.text, said.at, said.run_id, run.provider, run.model FROM said \
         LEFT JOIN run ON run.org_id = said.org_id AND run.id = said.run_id \
         WHERE said.org_id = $1 AND said.conversation_id = $2 \
         ORDER BY said.at DESC, said.role LIMIT {MOST_SAID}"
    );
    let mut messages = tx
        .query(&sql, key())
        .await?
        .iter()
        .map(said)
        .collect::<Result<Vec<_>, Error>>()?;
    tx.commit().await?;
    messages.reverse();
    Ok(Some(Conversation {
        summary: summary(row)?,
        messages,
    }))
}

/// Everything under a correlation id; `None` when this organisation has nothing there.
///
/// # Errors
/// When the database refuses.
pub async fn trace(
    store: &Store,
    org: OrgId,
    correlation_id: &str,
) -> Result<Option<RunTrace>, Error> {
    let key = || {
        vec![
            Value::from(org.to_string()),
            Value::from(correlation_id.to_owned()),
        ]
    };
    let tx = store.read(org).await?;
    let hops = tx.query(TRACE, key()).await?;
    let runs = tx
        .query(
            "SELECT * FROM run WHERE org_id = $1 AND correlation_id = $2 ORDER BY asked_at",
            key(),
        )
        .await?;
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

/// The statement behind [`trace`]; shows at most 10,000 messages.
pub const TRACE: &str = "SELECT channel, event_type, message_id, at, content_type, metadata, \
    payload FROM archive WHERE org_id = $1 AND correlation_id = $2 \
    ORDER BY at, seq LIMIT 10000";

fn summary(row: &Row) -> Result<ConversationSummary, Error> {
    let begins: Option<String> = row.get("begins")?;
    Ok(ConversationSummary {
        conversation_id: row.get("id")?,
        title: title(&begins.unwrap_or_default()),
        created_at: moment(row.get("created_at")?),
        updated_at: moment(row.get("updated_at")?),
    })
}

fn said(row: &Row) -> Result<Said, Error> {
    let role: String = row.get("role")?;
    let by_agent = role == "assistant";
    let of_agent = |column: &str| -> Result<Option<String>, Error> {
        Ok(row.get::<Option<String>>(column)?.filter(|_| by_agent))
    };
    Ok(Said {
        text: row.get("text")?,
        at: moment(row.get("at")?),
        run_id: row.get("run_id")?,
        provider: of_agent("provider")?,
        model: of_agent("model")?,
        role,
    })
}

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
