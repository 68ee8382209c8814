//! A conversation with what was said.

use nexus_contracts::conversation::ConversationDocument;
use nexus_store::{Row, Store, TenantTx, Value};

use super::{Before, Reader, SUMMARY, next, shown, summary};
use crate::document::{self, Head, Kept};
use crate::error::Error;
use crate::view::{Conversation, Said, Summary, moment};

/// Messages read at a time for a document.
const PAGE: u32 = 1_000;

/// A conversation with a page of what was said, the latest first to go; `None` when this reader has
/// none of this id.
///
/// # Errors
/// When the database refuses.
pub async fn conversation(
    store: &Store,
    reader: Reader,
    id: &str,
    (before, limit): (&Before, u32),
) -> Result<Option<Conversation>, Error> {
    let tx = store.read(reader.org).await?;
    let sql = format!(
        "SELECT {SUMMARY} FROM conversation AS c \
         WHERE c.org_id = $1 AND c.user_id = $2 AND c.id = $3"
    );
    let found = tx.query(&sql, about(reader, id)).await?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let head = summary(row)?;
    let rows = page(&tx, about(reader, id), before, limit).await?;
    let model_sees = latest_summary(&tx, reader, id).await?;
    tx.commit().await?;
    let messages = rows.iter().rev().map(said);
    Ok(Some(Conversation {
        head,
        next: next(&rows, limit, ("at", "place"))?,
        messages: messages.collect::<Result<_, Error>>()?,
        summary: model_sees,
    }))
}

/// A conversation as a document; `None` when this reader has none of this id.
///
/// # Errors
/// When the database refuses, or holds what cannot be read.
pub async fn export(
    store: &Store,
    reader: Reader,
    id: &str,
) -> Result<Option<ConversationDocument>, Error> {
    let tx = store.read(reader.org).await?;
    let sql = "SELECT title, created_at, extra FROM conversation \
               WHERE org_id = $1 AND user_id = $2 AND id = $3";
    let found = tx.query(sql, about(reader, id)).await?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let head = Head {
        title: row.get("title")?,
        created_at: row.get("created_at")?,
        extra: row.get("extra")?,
    };
    let (mut all, mut before) = (Vec::new(), Some(Before::first()));
    while let Some(behind) = before {
        let rows = page(&tx, about(reader, id), &behind, PAGE).await?;
        before = next(&rows, PAGE, ("at", "place"))?.and_then(|next| Before::parse(&next));
        all.extend(rows.iter().map(kept).collect::<Result<Vec<_>, Error>>()?);
    }
    tx.commit().await?;
    all.reverse();
    let document = document::write(head, all).map_err(|error| Error::Row {
        table: "said",
        reason: format!("what a document said besides: {error}"),
    });
    document.map(Some)
}

fn about(reader: Reader, id: &str) -> Vec<Value> {
    let mut values = reader.values();
    values.push(Value::from(id.to_owned()));
    values
}

/// What was said before a moment, the latest first: in the conversation, and before that in those
/// it was branched from.
async fn page(
    tx: &TenantTx,
    about: Vec<Value>,
    before: &Before,
    limit: u32,
) -> Result<Vec<Row>, Error> {
    let condition =
        "conversation.org_id = $1 AND conversation.user_id = $2 AND conversation.id = $3";
    let sql = format!(
        "{} SELECT s.place, s.role, s.text, s.at, s.told_at, s.run_id, s.provider, s.model, \
         s.extra FROM shown CROSS JOIN said AS s \
         WHERE s.org_id = $1 AND s.conversation_id = shown.id AND s.at < shown.cut AND s.text IS NOT NULL \
         AND (s.at < $4 OR (s.at = $4 AND s.place < $5)) \
         ORDER BY s.at DESC, s.place DESC LIMIT {limit}",
        shown(condition)
    );
    let values = about.into_iter().chain(before.values());
    Ok(tx.query(&sql, values.collect()).await?)
}

/// The last summary, and how many messages all of them stand for.
async fn latest_summary(tx: &TenantTx, reader: Reader, id: &str) -> Result<Option<Summary>, Error> {
    let sql = "SELECT m.summary, m.at, (SELECT CAST(SUM(n.messages) AS BIGINT) FROM summary AS n \
               WHERE n.org_id = m.org_id AND n.conversation_id = m.conversation_id) AS messages \
               FROM summary AS m WHERE m.org_id = $1 AND m.conversation_id = $2 \
               ORDER BY m.at DESC, m.message_id DESC LIMIT 1";
    let values = vec![
        Value::from(reader.org.to_string()),
        Value::from(id.to_owned()),
    ];
    let rows = tx.query(sql, values).await?;
    let row = rows.first().map(|row| {
        Ok(Summary {
            text: row.get("summary")?,
            messages: row.get("messages")?,
            at: moment(row.get("at")?),
        })
    });
    row.transpose()
}

fn said(row: &Row) -> Result<Said, Error> {
    let told_at: Option<i64> = row.get("told_at")?;
    Ok(Said {
        role: row.get("role")?,
        text: row.get("text")?,
        at: moment(told_at.map_or_else(|| row.get("at"), Ok)?),
        run_id: row.get("run_id")?,
        provider: row.get("provider")?,
        model: row.get("model")?,
    })
}

fn kept(row: &Row) -> Result<Kept, Error> {
    Ok(Kept {
        role: row.get("role")?,
        text: row.get("text")?,
        told_at: row.get("told_at")?,
        provider: row.get("provider")?,
        model: row.get("model")?,
        extra: row.get("extra")?,
    })
}
