//! Reading what a batch needs.

use std::collections::BTreeSet;

use nexus_bus::Outgoing;
use nexus_contracts::{ConversationId, MessageId, RunId, UserId};
use nexus_store::{Row, TenantRef, Value};

use super::{outbox_outgoing, uuid};
use crate::core::{Input, State};
use crate::error::Error;
use crate::plan::{Conversation, Handled, Loaded};
use crate::translate::Inbound;

/// Most values of one `IN`.
const MOST_VALUES: usize = 64;

/// Part of a list of ids for `IN`, filled up with its last one to a power of two: so there are only
/// seven texts of each statement, and all of them stay prepared.
pub(crate) struct InList {
    /// `($first,$first+1,…)`.
    pub(crate) text: String,
    /// What to bind.
    pub(crate) values: Vec<Value>,
}

impl InList {
    /// The list in parts; placeholders begin at `$first`.
    pub(crate) fn chunks(ids: &[String], first: usize) -> impl Iterator<Item = Self> {
        ids.chunks(MOST_VALUES).map(move |part| {
            let size = part.len().next_power_of_two();
            let filling = part.last().into_iter().cycle();
            let values = part
                .iter()
                .chain(filling)
                .take(size)
                .cloned()
                .map(Value::from);
            let names: Vec<String> = (first..first + size).map(|at| format!("${at}")).collect();
            Self {
                text: format!("({})", names.join(",")),
                values: values.collect(),
            }
        })
    }
}

/// Conversations and inbox rows of a batch of one organisation.
///
/// # Errors
/// When the database refuses, or a row cannot be read.
pub async fn load(tx: &TenantRef<'_>, batch: &[&Inbound]) -> Result<Loaded, Error> {
    let mut loaded = Loaded::default();
    conversations(tx, batch, &mut loaded).await?;
    inbox(tx, batch, &mut loaded).await?;
    Ok(loaded)
}

/// Rows of one organisation whose id, whatever `sql` calls it, is one of these. `sql` ends in `IN`.
async fn rows_of(tx: &TenantRef<'_>, sql: &str, ids: &[String]) -> Result<Vec<Row>, Error> {
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
        let state: State =
            rmp_serde::from_slice(&state).map_err(|error| bad("conversation", &error))?;
        let user: Option<String> = row.get("user_id")?;
        let user = user.map(|user| user.parse::<UserId>()).transpose();
        let user = user.map_err(|error| bad("conversation", &error))?;
        let conversation = Conversation {
            version: row.get("version")?,
            state,
            user,
        };
        loaded.conversations.insert(id, conversation);
    }
    Ok(())
}

async fn inbox(tx: &TenantRef<'_>, batch: &[&Inbound], loaded: &mut Loaded) -> Result<(), Error> {
    let submitted = batch
        .iter()
        .filter(|event| matches!(event.input, Input::Submitted(_)));
    let ids: BTreeSet<String> = submitted
        .map(|event| event.message_id.to_string())
        .collect();
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

/// Every message of these runs that is not settled, and their delivered answers.
///
/// # Errors
/// When the database refuses, or a row cannot be read.
pub async fn repeated(tx: &TenantRef<'_>, runs: &[RunId]) -> Result<Vec<Outgoing>, Error> {
    let runs: BTreeSet<String> = runs.iter().map(ToString::to_string).collect();
    let runs: Vec<String> = runs.into_iter().collect();
    let sql = "SELECT channel, body FROM outbox WHERE org_id = $1 AND run_id IN";
    outgoing(rows_of(tx, sql, &runs).await?)
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
