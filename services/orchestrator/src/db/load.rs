//! Reading what a batch needs.

use std::collections::{BTreeMap, BTreeSet};

use nexus_bus::Outgoing;
use nexus_contracts::{ConversationId, MessageId, Timestamp, UserId};
use nexus_store::{InList, Row, TenantRef, Value};

use super::{history, outbox_outgoing, uuid};
use crate::core::checkpoint::decode_state;
use crate::core::{Input, Request};
use crate::error::Error;
use crate::plan::{Conversation, Handled, Loaded, Repeated, Which};
use crate::translate::Inbound;

/// Conversations and inbox rows of a batch of one organisation.
///
/// # Errors
/// When the database refuses, or a row cannot be read.
pub async fn load(tx: &TenantRef<'_>, batch: &[&Inbound]) -> Result<Loaded, Error> {
    let conversations = batch.iter().map(|event| event.conversation_id.to_string());
    let mut questions = questions(tx, CONVERSATIONS, conversations);
    let of_conversations = questions.len();
    let mut asked: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for event in batch
        .iter()
        .filter(|event| matches!(event.input, Input::Asked(_)))
    {
        let ids = asked.entry(&event.channel).or_default();
        ids.push(event.message_id.to_string());
    }
    questions.extend(
        asked
            .into_iter()
            .flat_map(|(channel, ids)| handled_of(tx, channel, &ids)),
    );
    let mut loaded = Loaded::default();
    for (at, rows) in tx.query_all(questions).await?.iter().enumerate() {
        for row in rows {
            if at < of_conversations {
                conversation(row, &mut loaded)?;
            } else {
                handled(row, &mut loaded)?;
            }
        }
    }
    bases(tx, batch, &mut loaded).await?;
    Ok(loaded)
}

const CONVERSATIONS: &str =
    "SELECT id, user_id, version, state FROM conversation WHERE org_id = $1 AND id IN";
/// With the channel, as the primary key begins: by the id alone it would read all there are.
const INBOX: &str = "SELECT channel, message_id, conversation_id, handled, at FROM inbox \
     WHERE org_id = $1 AND channel = $2 AND message_id IN";

fn handled_of(tx: &TenantRef<'_>, channel: &str, ids: &[String]) -> Vec<(String, Vec<Value>)> {
    let question = |list: InList| {
        let key = [uuid(tx.org().0), Value::from(channel)];
        let values = key.into_iter().chain(list.values);
        (format!("{INBOX} {}", list.text), values.collect())
    };
    InList::chunks(ids, 3).map(question).collect()
}

/// `sql`, which ends in `IN`, over all of these ids of one organisation.
fn questions(
    tx: &TenantRef<'_>,
    sql: &str,
    ids: impl Iterator<Item = String>,
) -> Vec<(String, Vec<Value>)> {
    let ids: BTreeSet<String> = ids.collect();
    let ids: Vec<String> = ids.into_iter().collect();
    let question = |list: InList| {
        let values = std::iter::once(uuid(tx.org().0)).chain(list.values);
        (format!("{sql} {}", list.text), values.collect())
    };
    InList::chunks(&ids, 2).map(question).collect()
}

/// Rows of one organisation whose id, whatever `sql` calls it, is one of these. `sql` ends in `IN`.
pub(crate) async fn rows_of(
    tx: &TenantRef<'_>,
    sql: &str,
    ids: &[String],
) -> Result<Vec<Row>, Error> {
    let questions = questions(tx, sql, ids.iter().cloned());
    let rows = tx.query_all(questions).await?;
    Ok(rows.into_iter().flatten().collect())
}

fn conversation(row: &Row, loaded: &mut Loaded) -> Result<(), Error> {
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
    Ok(())
}

fn handled(row: &Row, loaded: &mut Loaded) -> Result<(), Error> {
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
    let at = Timestamp::from_millis(row.get("at")?);
    loaded
        .inbox
        .insert((row.get("channel")?, message), (handled, conversation, at));
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

/// What these events led to and is not settled; and the delivered answers to them.
///
/// # Errors
/// When the database refuses, or a row cannot be read.
pub async fn repeated(tx: &TenantRef<'_>, events: &[Repeated]) -> Result<Vec<Outgoing>, Error> {
    let caused = "SELECT channel, body FROM outbox WHERE org_id = $1 AND cause IN";
    let causes = events.iter().map(|repeated| repeated.event.cause());
    let mut questions = questions(tx, caused, causes);
    for repeated in events {
        let ask = |text: &str, conversation: String| {
            let values = [conversation, repeated.event.cause()].map(Value::from);
            let values = std::iter::once(uuid(tx.org().0)).chain(values);
            (format!("{ANSWERS} {text}"), values.collect())
        };
        let conversation = repeated.conversation_id.to_string();
        match &repeated.event {
            Which::Other(_) => questions.push(ask("cause = $3", conversation)),
            Which::Request(_) => {
                questions.push(ask("(run_id = $3 OR cause = $3)", conversation));
                // One that was refused, and carries nothing of a conversation.
                questions.push(ask("run_id = $3", String::new()));
            }
        }
    }
    let rows = tx.query_all(questions).await?;
    outgoing(rows.into_iter().flatten().collect())
}

const ANSWERS: &str =
    "SELECT channel, body FROM answer WHERE org_id = $1 AND conversation_id = $2 AND";

/// The unsettled messages with these ids.
///
/// # Errors
/// When the database refuses, or a row cannot be read.
pub async fn unsettled(tx: &TenantRef<'_>, ids: &[String]) -> Result<Vec<Outgoing>, Error> {
    let sql = "SELECT channel, body FROM outbox WHERE org_id = $1 AND id IN";
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
