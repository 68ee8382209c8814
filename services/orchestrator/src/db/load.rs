//! Reading what a batch needs.

use std::collections::BTreeSet;

use nexus_bus::Outgoing;
use nexus_contracts::{ConversationId, MessageId, RunId, UserId};
use nexus_store::{InList, Row, TenantRef};

use super::{history, outbox_outgoing, uuid};
use crate::core::checkpoint::decode_state;
use crate::core::{Input, Request};
use crate::error::Error;
use crate::plan::{Conversation, Handled, Loaded};
use crate::translate::Inbound;

/// Conversations and inbox rows of a batch of one organisation.
///
/// # Errors
/// When the database refuses, or a row cannot be read.
pub async fn load(tx: &TenantRef<'_>, batch: &[&Inbound]) -> Result<Loaded, Error> {
    let mut loaded = Loaded::default();
    conversations(tx, batch, &mut loaded).await?;
    inbox(tx, batch, &mut loaded).await?;
    bases(tx, batch, &mut loaded).await?;
    Ok(loaded)
}

/// Rows of one organisation whose id, whatever `sql` calls it, is one of these. `sql` ends in `IN`.
pub(crate) async fn rows_of(
    tx: &TenantRef<'_>,
    sql: &str,
    ids: &[String],
) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::with_capacity(ids.len());
    for list in InList::chunks(ids, 2) {
        let values = std::iter::once(uuid(tx.org().0)).chain(list.values);
        rows.extend(
            tx.query(&format!("{sql} {}", list.text), values.collect())
                .await?,
        );
    }
    Ok(rows)
}

async fn conversations(
    tx: &TenantRef<'_>,
    batch: &[&Inbound],
    loaded: &mut Loaded,
) -> Result<(), Error> {
    let ids: BTreeSet<String> = batch
        .iter()
        .map(|event| event.conversation_id.to_string())
        .collect();
    let ids: Vec<String> = ids.into_iter().collect();
    let sql = "SELECT id, user_id, version, state FROM conversation WHERE org_id = $1 AND id IN";
    for row in rows_of(tx, sql, &ids).await? {
        let id: String = row.get("id")?;
        let id: ConversationId = id.parse().map_err(|error| bad("conversation", &error))?;
        let state: Vec<u8> = row.get("state")?;
        let mut state = decode_state(&state).map_err(|error| bad("conversation", &error))?;
        // Version 1 kept the owner beside the state only.
        if state.owner.is_none() {
            let user: Option<String> = row.get("user_id")?;
            let user = user.map(|user| user.parse::<UserId>()).transpose();
            state.owner = user.map_err(|error| bad("conversation", &error))?;
        }
        let conversation = Conversation {
            version: row.get("version")?,
            state,
        };
        loaded.conversations.insert(id, conversation);
    }
    Ok(())
}

async fn inbox(tx: &TenantRef<'_>, batch: &[&Inbound], loaded: &mut Loaded) -> Result<(), Error> {
    let asked = batch
        .iter()
        .filter(|event| matches!(event.input, Input::Asked(_)));
    let ids: BTreeSet<String> = asked.map(|event| event.message_id.to_string()).collect();
    let ids: Vec<String> = ids.into_iter().collect();
    let sql = "SELECT channel, message_id, conversation_id, handled FROM inbox \
               WHERE org_id = $1 AND message_id IN";
    for row in rows_of(tx, sql, &ids).await? {
        let message: String = row.get("message_id")?;
        let message = MessageId::new(message).map_err(|error| bad("inbox", &error))?;
        let conversation: String = row.get("conversation_id")?;
        let conversation = conversation
            .parse()
            .map_err(|error: uuid::Error| bad("inbox", &error))?;
        let handled: String = row.get("handled")?;
        let handled = if handled == "accepted" {
            Handled::Accepted
        } else {
            Handled::Refused
        };
        loaded
            .inbox
            .insert((row.get("channel")?, message), (handled, conversation));
    }
    Ok(())
}

/// What the parents of branches were.
async fn bases(tx: &TenantRef<'_>, batch: &[&Inbound], loaded: &mut Loaded) -> Result<(), Error> {
    for asked in batch.iter().filter_map(|event| event.input.asked()) {
        let Request::Branch(branch) = &asked.request else {
            continue;
        };
        let key = (branch.parent, branch.run_id);
        if let Some(base) = history::before_run(tx, key.0, key.1).await? {
            loaded.bases.insert(key, base);
        }
    }
    Ok(())
}

/// Every message about these runs, or that they led to, that is not settled; and their delivered
/// answers.
///
/// # Errors
/// When the database refuses, or a row cannot be read.
pub async fn repeated(tx: &TenantRef<'_>, runs: &[RunId]) -> Result<Vec<Outgoing>, Error> {
    let runs: BTreeSet<String> = runs.iter().map(ToString::to_string).collect();
    let runs: Vec<String> = runs.into_iter().collect();
    let about = "SELECT channel, body FROM outbox WHERE org_id = $1 AND run_id IN";
    let caused = "SELECT channel, body FROM outbox WHERE org_id = $1 AND cause IN";
    let mut rows = rows_of(tx, about, &runs).await?;
    rows.extend(rows_of(tx, caused, &runs).await?);
    outgoing(rows)
}

/// The unsettled messages with these ids.
///
/// # Errors
/// When the database refuses, or a row cannot be read.
pub async fn unsettled(tx: &TenantRef<'_>, ids: &[String]) -> Result<Vec<Outgoing>, Error> {
    let sql = "SELECT channel, body FROM outbox WHERE org_id = $1 AND settled = 0 AND id IN";
    outgoing(rows_of(tx, sql, ids).await?)
}

fn outgoing(rows: Vec<Row>) -> Result<Vec<Outgoing>, Error> {
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let body: Vec<u8> = row.get("body")?;
        messages.push(outbox_outgoing(row.get("channel")?, &body)?);
    }
    Ok(messages)
}

fn bad(row: &'static str, error: &dyn std::fmt::Display) -> Error {
    Error::Row {
        row,
        reason: error.to_string(),
    }
}
