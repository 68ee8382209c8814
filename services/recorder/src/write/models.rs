//! The read models. Every statement commutes with itself: see [`crate::changes`].

use std::collections::BTreeMap;

use nexus_store::{TenantRef, Value};

use super::{org, plain, plain_option};
use crate::changes::{Changes, ConversationRow, RunRow, SaidRow, SummaryRow};
use crate::error::Error;
use crate::words::indexed;

pub(super) async fn insert(tx: &TenantRef<'_>, changes: Changes) -> Result<(), Error> {
    conversations(tx, changes.conversations).await?;
    said(tx, changes.said).await?;
    runs(tx, changes.runs).await?;
    summaries(tx, changes.summaries).await
}

/// The smaller of what is stored and what comes, where both are known.
fn earlier(table: &str, column: &str) -> String {
    format!(
        "{column} = CASE WHEN {table}.{column} IS NULL OR excluded.{column} < {table}.{column} \
         THEN COALESCE(excluded.{column}, {table}.{column}) ELSE {table}.{column} END"
    )
}

/// What is stored, or else what comes.
fn first(table: &str, column: &str) -> String {
    format!("{column} = COALESCE({table}.{column}, excluded.{column})")
}

async fn conversations(
    tx: &TenantRef<'_>,
    rows: BTreeMap<String, ConversationRow>,
) -> Result<(), Error> {
    let mut values = Vec::with_capacity(rows.len() * 10);
    for (id, row) in rows {
        let title = row.title.as_ref();
        values.extend([
            org(tx),
            Value::from(id),
            Value::from(row.user_id),
            Value::from(row.created_at),
            Value::from(row.updated_at),
            plain_option(title.map(|title| title.text.as_str())),
            Value::from(title.map(|title| title.rank.clone())),
            Value::from(title.map(|title| title.at)),
            Value::from(title.map(|title| indexed(tx.org(), &title.text))),
            plain_option(row.extra.as_deref()),
        ]);
    }
    let titles = ["title", "title_at", "title_words", "title_rank"].map(|column| {
        format!(
            "{column} = CASE WHEN conversation.title_rank IS NULL \
             OR excluded.title_rank > conversation.title_rank \
             THEN excluded.{column} ELSE conversation.{column} END"
        )
    });
    let head = "INSERT INTO conversation (org_id, id, user_id, created_at, updated_at, title, \
                title_rank, title_at, title_words, extra) VALUES";
    let tail = format!(
        "ON CONFLICT (org_id, id) DO UPDATE SET {}, {}, {}, {}, \
         updated_at = CASE WHEN excluded.updated_at > conversation.updated_at \
         THEN excluded.updated_at ELSE conversation.updated_at END",
        first("conversation", "user_id"),
        first("conversation", "extra"),
        earlier("conversation", "created_at"),
        titles.join(", "),
    );
    Ok(tx.later_rows(head, &tail, 10, values).await?)
}

async fn said(tx: &TenantRef<'_>, rows: BTreeMap<String, SaidRow>) -> Result<(), Error> {
    let mut values = Vec::with_capacity(rows.len() * 13);
    for (place, row) in rows {
        let words = row.text.as_ref().map(|text| indexed(tx.org(), text));
        values.extend([
            org(tx),
            Value::from(place),
            Value::from(row.conversation_id),
            Value::from(row.run_id),
            Value::from(row.role.to_owned()),
            plain_option(row.text.as_deref()),
            Value::from(words),
            Value::from(row.at),
            Value::from(row.told_at),
            plain_option(row.provider.as_deref()),
            plain_option(row.model.as_deref()),
            plain_option(row.extra.as_deref()),
            Value::from(row.recorded_at),
        ]);
    }
    let fill = ["text", "words", "provider", "model", "extra"];
    let head = "INSERT INTO said (org_id, place, conversation_id, run_id, role, text, words, at, \
                told_at, provider, model, extra, recorded_at) VALUES";
    // A row that is complete is left alone: the index of words is not written again.
    let tail = format!(
        "ON CONFLICT (org_id, place) DO UPDATE SET {}, {}, {}, \
         conversation_id = CASE WHEN excluded.at IS NULL THEN said.conversation_id \
         ELSE excluded.conversation_id END \
         WHERE said.text IS NULL OR said.at IS NULL OR excluded.at < said.at \
         OR excluded.told_at < said.told_at",
        fill.map(|column| first("said", column)).join(", "),
        earlier("said", "at"),
        earlier("said", "told_at"),
    );
    Ok(tx.later_rows(head, &tail, 13, values).await?)
}

/// Columns of `run` that are filled once, in the order of [`run_values`].
const RUN_FILLED: [&str; 9] = [
    "user_id",
    "correlation_id",
    "outcome",
    "code",
    "provider",
    "model",
    "input_tokens",
    "output_tokens",
    "steps",
];

/// Columns of `run` that keep the earlier moment; behind [`RUN_FILLED`].
const RUN_TIMES: [&str; 3] = ["asked_at", "accepted_at", "ended_at"];

fn run_values(row: RunRow) -> [Value; 13] {
    [
        Value::from(row.user_id),
        Value::from(row.correlation_id),
        Value::from(row.outcome),
        plain_option(row.code.as_deref()),
        plain_option(row.provider.as_deref()),
        plain_option(row.model.as_deref()),
        Value::from(row.input_tokens),
        Value::from(row.output_tokens),
        Value::from(row.steps),
        Value::from(row.asked_at),
        Value::from(row.accepted_at),
        Value::from(row.ended_at),
        Value::from(row.conversation_id),
    ]
}

async fn runs(tx: &TenantRef<'_>, runs: BTreeMap<String, RunRow>) -> Result<(), Error> {
    let mut values = Vec::with_capacity(runs.len() * 15);
    for (id, row) in runs {
        values.extend([org(tx), Value::from(id)]);
        values.extend(run_values(row));
    }
    let head = format!(
        "INSERT INTO run (org_id, id, {}, {}, conversation_id) VALUES",
        RUN_FILLED.join(", "),
        RUN_TIMES.join(", "),
    );
    // The orchestrator knows which conversation it is; who asked only claims it.
    let tail = format!(
        "ON CONFLICT (org_id, id) DO UPDATE SET {}, {}, conversation_id = CASE \
         WHEN excluded.accepted_at IS NOT NULL OR excluded.ended_at IS NOT NULL \
         THEN excluded.conversation_id \
         ELSE COALESCE(run.conversation_id, excluded.conversation_id) END",
        RUN_FILLED.map(|column| first("run", column)).join(", "),
        RUN_TIMES.map(|column| earlier("run", column)).join(", "),
    );
    Ok(tx.later_rows(&head, &tail, 15, values).await?)
}

async fn summaries(
    tx: &TenantRef<'_>,
    rows: BTreeMap<(String, String), SummaryRow>,
) -> Result<(), Error> {
    let mut values = Vec::with_capacity(rows.len() * 6);
    for ((conversation, message), row) in rows {
        values.extend([
            org(tx),
            Value::from(conversation),
            Value::from(message),
            plain(&row.summary),
            Value::from(row.messages),
            Value::from(row.at),
        ]);
    }
    let head =
        "INSERT INTO summary (org_id, conversation_id, message_id, summary, messages, at) VALUES";
    Ok(tx
        .later_rows(head, "ON CONFLICT DO NOTHING", 6, values)
        .await?)
}
