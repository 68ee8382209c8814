//! Writing what a batch changes: one multi-row statement a table.

use std::collections::HashSet;

use nexus_contracts::{MessageId, Timestamp};
use nexus_store::{InList, TenantRef, Value};

use super::dispatch::{kind, timer_key};
use super::load::rows_of;
use super::{outbox_body, uuid};
use crate::core::checkpoint::encode_state;
use crate::emit::{Emission, Settle};
use crate::error::Error;
use crate::plan::{Conversation, Handled, Plan};

/// What is written besides the plan.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// Now.
    pub now: Timestamp,
    /// When an unsettled message is published again, from now, in milliseconds.
    pub resend_after_ms: i64,
    /// Who must confirm what became of conversations.
    pub keepers: &'a [String],
    /// The hash of what decisions depended on.
    pub environment: &'a str,
    /// Whether a conversation that another replica changed meanwhile is left alone, as it must be.
    pub compare_and_set: bool,
}

/// Writes a plan, with the commit: that fails when another replica changed a conversation
/// meanwhile.
///
/// # Errors
/// When something cannot be written.
pub async fn write(tx: &TenantRef<'_>, plan: &Plan, writing: &Writing<'_>) -> Result<(), Error> {
    if plan.erased.is_empty() {
        tables(tx, plan, writing).await
    } else {
        tx.erasing(tables(tx, plan, writing)).await
    }
}

async fn tables(tx: &TenantRef<'_>, plan: &Plan, writing: &Writing<'_>) -> Result<(), Error> {
    conversations(tx, plan, writing).await?;
    erase(tx, plan).await?;
    journal(tx, plan, writing).await?;
    snapshots(tx, plan, writing.now).await?;
    inbox(tx, plan, writing.now).await?;
    // Written first and settled after: a command may be issued and closed by one batch.
    outbox(tx, plan, writing).await?;
    dispatch(tx, plan, writing).await?;
    settle(tx, &plan.settled).await?;
    let cleared = plan.timers.iter().filter(|(_, at)| at.is_none());
    let cleared: Vec<_> = cleared
        .map(|((conversation, timer), _)| timer_key(*conversation, timer))
        .collect();
    for of_kind in [kind::DEADLINE, kind::APPROVAL] {
        let ids = cleared.iter().filter(|(kind, _)| *kind == of_kind);
        delete_dispatch(tx, of_kind, ids.map(|(_, id)| id.clone()).collect()).await?;
    }
    Ok(())
}

/// Whole rows, with the commit.
async fn insert<const N: usize>(
    tx: &TenantRef<'_>,
    (head, tail): (&str, &str),
    rows: Vec<[Value; N]>,
) -> Result<(), Error> {
    let head = format!("{head} VALUES");
    let values = rows.into_iter().flatten().collect();
    Ok(tx.later_rows(&head, tail, N, values).await?)
}

const INSERT_CONVERSATIONS: &str =
    "INSERT INTO conversation (org_id, id, user_id, version, previous, state, updated_at)";

const UPDATE_CONVERSATIONS: &str = "ON CONFLICT (org_id, id) DO UPDATE SET \
    version = excluded.version, previous = excluded.previous, state = excluded.state, \
    updated_at = excluded.updated_at";

async fn conversations(
    tx: &TenantRef<'_>,
    plan: &Plan,
    writing: &Writing<'_>,
) -> Result<(), Error> {
    const COLUMNS: usize = 7;
    let mut rows: Vec<[Value; COLUMNS]> = Vec::with_capacity(plan.conversations.len());
    for (id, (previous, Conversation { version, state })) in &plan.conversations {
        rows.push([
            uuid(tx.org().0),
            uuid(id.0),
            Value::from(state.owner.map(|user| user.to_string())),
            Value::from(*version),
            Value::from(*previous),
            Value::from(encode_state(state)?),
            Value::from(writing.now.as_millis()),
        ]);
    }
    let unchanged = if writing.compare_and_set {
        "WHERE conversation.version = excluded.previous"
    } else {
        ""
    };
    let update = format!("{UPDATE_CONVERSATIONS} {unchanged}");
    let insert = format!("{INSERT_CONVERSATIONS} VALUES");
    let values: Vec<Value> = rows.into_iter().flatten().collect();
    Ok(tx.later_all_rows(&insert, &update, COLUMNS, values).await?)
}

/// Whatever was stored with content of these conversations goes; the inbox has none.
async fn erase(tx: &TenantRef<'_>, plan: &Plan) -> Result<(), Error> {
    let ids: Vec<String> = plan.erased.iter().map(ToString::to_string).collect();
    for list in InList::chunks(&ids, 2) {
        let values = || std::iter::once(uuid(tx.org().0)).chain(list.values.clone());
        // What waits to be answered or confirmed goes with it, or it would be due for ever.
        let outbox = "SELECT id FROM outbox WHERE org_id = $1 AND conversation_id IN";
        for waiting in ["outbox_keeper WHERE", "dispatch WHERE kind = 'message' AND"] {
            let sql = format!(
                "DELETE FROM {waiting} org_id = $1 AND id IN ({outbox} {})",
                list.text
            );
            tx.later(&sql, values().collect()).await?;
        }
        for table in ["journal", "snapshot", "outbox", "answer"] {
            let sql = format!(
                "DELETE FROM {table} WHERE org_id = $1 AND conversation_id IN {}",
                list.text
            );
            tx.later(&sql, values().collect()).await?;
        }
    }
    Ok(())
}

/// How the journal's payloads are written.
const INPUT: &str = "application/vnd.nexus.input";

async fn journal(tx: &TenantRef<'_>, plan: &Plan, writing: &Writing<'_>) -> Result<(), Error> {
    let rows = plan.journal.iter().map(|row| {
        [
            uuid(tx.org().0),
            uuid(row.conversation_id.0),
            Value::from(row.seq),
            uuid(row.run_id.0),
            Value::from(row.message_id.as_str().to_owned()),
            Value::from(row.event_type.clone()),
            Value::from(INPUT.to_owned()),
            Value::from(row.input.clone()),
            Value::from(writing.environment.to_owned()),
            Value::from(writing.now.as_millis()),
        ]
    });
    let head = "INSERT INTO journal (org_id, conversation_id, seq, run_id, message_id, event_type, \
                content_type, payload, environment, at)";
    // The journal's key would refuse a second writer too: who breaks the one on purpose breaks both.
    let tail = if writing.compare_and_set {
        ""
    } else {
        "ON CONFLICT (org_id, conversation_id, seq) DO UPDATE SET run_id = excluded.run_id, \
         message_id = excluded.message_id, event_type = excluded.event_type, \
         payload = excluded.payload, at = excluded.at"
    };
    insert(tx, (head, tail), rows.collect()).await?;
    Ok(())
}

async fn snapshots(tx: &TenantRef<'_>, plan: &Plan, now: Timestamp) -> Result<(), Error> {
    let mut rows = Vec::with_capacity(plan.snapshots.len());
    for (id, Conversation { version, state }) in &plan.snapshots {
        rows.push([
            uuid(tx.org().0),
            uuid(id.0),
            Value::from(*version),
            Value::from(encode_state(state)?),
            Value::from(now.as_millis()),
        ]);
    }
    let head = "INSERT INTO snapshot (org_id, conversation_id, seq, state, at)";
    insert(tx, (head, "ON CONFLICT DO NOTHING"), rows).await?;
    Ok(())
}

/// Keeps what decisions depend on, by hash.
///
/// # Errors
/// When the database refuses.
pub async fn environment(tx: &TenantRef<'_>, hash: &str, body: &[u8]) -> Result<(), Error> {
    let row = [
        uuid(tx.org().0),
        Value::from(hash.to_owned()),
        Value::from(body.to_vec()),
    ];
    let head = "INSERT INTO environment (org_id, hash, body)";
    insert(tx, (head, "ON CONFLICT DO NOTHING"), vec![row]).await?;
    Ok(())
}

async fn inbox(tx: &TenantRef<'_>, plan: &Plan, now: Timestamp) -> Result<(), Error> {
    let rows = plan.inbox.iter().map(|row| {
        let handled = match row.handled {
            Handled::Accepted => "accepted",
            Handled::Refused => "refused",
        };
        [
            uuid(tx.org().0),
            Value::from(row.channel.clone()),
            Value::from(row.message_id.as_str().to_owned()),
            uuid(row.conversation_id.0),
            Value::from(handled.to_owned()),
            Value::from(now.as_millis()),
        ]
    });
    let head = "INSERT INTO inbox (org_id, channel, message_id, conversation_id, handled, at)";
    insert(tx, (head, ""), rows.collect()).await?;
    Ok(())
}

async fn outbox(tx: &TenantRef<'_>, plan: &Plan, writing: &Writing<'_>) -> Result<(), Error> {
    let (mut kept, mut answers, mut awaited) = (Vec::new(), Vec::new(), Vec::new());
    for row in &plan.outbox {
        let Emission {
            envelope, settle, ..
        } = &row.emission;
        let about = row.conversation_id.map(|id| id.to_string());
        let id = || Value::from(envelope.id.as_str().to_owned());
        let rest = [
            Value::from(row.cause.clone()),
            Value::from(row.emission.channel.clone()),
            Value::from(outbox_body(envelope)?),
            Value::from(writing.now.as_millis()),
        ];
        if *settle == Settle::ByPublication {
            let about = Value::from(about.unwrap_or_default());
            answers.push(([uuid(tx.org().0), about, uuid(row.run_id.0), id()], rest));
            continue;
        }
        kept.push((
            [
                uuid(tx.org().0),
                id(),
                uuid(row.run_id.0),
                Value::from(about),
            ],
            rest,
        ));
        if *settle == Settle::ByKeepers {
            let keepers = writing.keepers.iter();
            let row = |keeper: &String| [uuid(tx.org().0), id(), Value::from(keeper)];
            awaited.extend(keepers.map(row));
        }
    }
    let head = "INSERT INTO outbox (org_id, id, run_id, conversation_id, cause, channel, body, at)";
    insert(tx, (head, ""), kept.into_iter().map(whole).collect()).await?;
    let head = "INSERT INTO answer (org_id, conversation_id, run_id, id, cause, channel, body, at)";
    insert(tx, (head, ""), answers.into_iter().map(whole).collect()).await?;
    let head = "INSERT INTO outbox_keeper (org_id, id, keeper)";
    insert(tx, (head, ""), awaited).await?;
    Ok(())
}

fn whole(([a, b, c, d], [e, f, g, h]): ([Value; 4], [Value; 4])) -> [Value; 8] {
    [a, b, c, d, e, f, g, h]
}

async fn dispatch(tx: &TenantRef<'_>, plan: &Plan, writing: &Writing<'_>) -> Result<(), Error> {
    let org = tx.org();
    let row = |kind: &str, id: String, due: Timestamp, until: Timestamp| {
        [
            uuid(org.0),
            Value::from(kind.to_owned()),
            Value::from(id),
            Value::from(due.as_millis()),
            Value::from(until.as_millis()),
            Value::from(0_i64),
        ]
    };
    let resend = writing.now.plus_millis(writing.resend_after_ms);
    let messages = plan.outbox.iter().filter_map(|kept| {
        let until = until(&kept.emission)?;
        let id = kept.emission.envelope.id.to_string();
        Some(row(kind::MESSAGE, id, resend, until))
    });
    let timers = plan
        .timers
        .iter()
        .filter_map(|((conversation, timer), at)| {
            let (kind, id) = timer_key(*conversation, timer);
            Some(row(kind, id, (*at)?, Timestamp::from_millis(i64::MAX)))
        });
    let cancels = plan
        .cancelled
        .iter()
        .map(|(run, until)| row(kind::CANCEL, run.to_string(), writing.now, *until));
    let rows = messages.chain(timers).chain(cancels).collect();
    let head = "INSERT INTO dispatch (org_id, kind, id, due_at, until, attempt)";
    let tail = "ON CONFLICT (org_id, kind, id) DO UPDATE SET due_at = excluded.due_at, \
                until = excluded.until, attempt = 0";
    insert(tx, (head, tail), rows).await?;
    Ok(())
}

fn until(emission: &Emission) -> Option<Timestamp> {
    match emission.settle {
        Settle::ByResult { until } => Some(until),
        Settle::ByReceipt | Settle::ByKeepers => Some(Timestamp::from_millis(i64::MAX)),
        Settle::ByPublication => None,
    }
}

/// Forgets messages that need no answer any more.
///
/// # Errors
/// When the database refuses.
pub async fn settle(tx: &TenantRef<'_>, ids: &[MessageId]) -> Result<(), Error> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    for list in InList::chunks(&ids, 2) {
        let sql = format!(
            "DELETE FROM outbox WHERE org_id = $1 AND id IN {}",
            list.text
        );
        let values = std::iter::once(uuid(tx.org().0)).chain(list.values);
        tx.later(&sql, values.collect()).await?;
    }
    delete_dispatch(tx, kind::MESSAGE, ids).await
}

/// Forgets messages that arrived. One that several must keep stays until the last has it.
///
/// # Errors
/// When the database refuses.
pub async fn confirm(tx: &TenantRef<'_>, by: &str, ids: &[MessageId]) -> Result<(), Error> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    for list in InList::chunks(&ids, 3) {
        let sql = format!(
            "DELETE FROM outbox_keeper WHERE org_id = $1 AND keeper = $2 AND id IN {}",
            list.text
        );
        let first = [uuid(tx.org().0), Value::from(by.to_owned())];
        tx.later(&sql, first.into_iter().chain(list.values).collect())
            .await?;
    }
    let sql = "SELECT DISTINCT id FROM outbox_keeper WHERE org_id = $1 AND id IN";
    let rows = rows_of(tx, sql, &ids).await?;
    let waiting: Result<HashSet<String>, _> = rows.iter().map(|row| row.get("id")).collect();
    let waiting = waiting?;
    let arrived = ids.into_iter().filter(|id| !waiting.contains(id));
    let arrived: Result<Vec<MessageId>, _> = arrived.map(MessageId::new).collect();
    settle(tx, &arrived?).await
}

/// Forgets what was due.
///
/// # Errors
/// When the database refuses.
pub async fn delete_dispatch(
    tx: &TenantRef<'_>,
    kind: &str,
    ids: Vec<String>,
) -> Result<(), Error> {
    for list in InList::chunks(&ids, 3) {
        let sql = format!(
            "DELETE FROM dispatch WHERE org_id = $1 AND kind = $2 AND id IN {}",
            list.text
        );
        let first = [uuid(tx.org().0), Value::from(kind.to_owned())];
        tx.later(&sql, first.into_iter().chain(list.values).collect())
            .await?;
    }
    Ok(())
}
