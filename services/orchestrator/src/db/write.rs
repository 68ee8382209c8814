//! Writing what a batch changes: one multi-row statement a table.

use nexus_contracts::{MessageId, Timestamp};
use nexus_store::{TenantRef, Value};

use super::load::InList;
use super::{outbox_body, uuid};
use crate::emit::{Emission, Settle};
use crate::error::Error;
use crate::plan::{Handled, Plan};
use crate::translate::Inbound;

/// Kinds of dispatch rows.
pub mod kind {
    /// An unsettled message of the outbox; id is the message's.
    pub const MESSAGE: &str = "message";
    /// A run's deadline; id is `<conversation>/<run>`.
    pub const DEADLINE: &str = "deadline";
    /// A cancellation to be projected until `until`; id is the run's.
    pub const CANCEL: &str = "cancel";
}

/// Writes a plan.
///
/// # Errors
/// [`Error::Conflict`] when another replica changed a conversation meanwhile; else when the
/// database refuses.
pub async fn write(
    tx: &TenantRef<'_>,
    plan: &Plan,
    batch: &[&Inbound],
    timing: &Timing,
) -> Result<(), Error> {
    conversations(tx, plan, timing.now).await?;
    journal(tx, plan, batch, timing.now).await?;
    inbox(tx, plan, timing.now).await?;
    // Written first and settled after: a command may be issued and closed by one batch.
    outbox(tx, plan, timing.now).await?;
    dispatch(tx, plan, timing).await?;
    settle(tx, &plan.settled).await?;
    let cleared = plan
        .cleared
        .iter()
        .map(|(conversation, run)| format!("{conversation}/{run}"));
    delete_dispatch(tx, kind::DEADLINE, cleared.collect()).await
}

/// When a message that is written now is due again.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Now.
    pub now: Timestamp,
    /// When an unsettled message is published again, from now, in milliseconds.
    pub resend_after_ms: i64,
}

async fn insert(
    tx: &TenantRef<'_>,
    (head, tail): (&str, &str),
    rows: Vec<Vec<Value>>,
) -> Result<u64, Error> {
    let Some(columns) = rows.first().map(Vec::len) else {
        return Ok(0);
    };
    let head = format!("{head} VALUES");
    let values = rows.into_iter().flatten().collect();
    Ok(tx.execute_rows(&head, tail, columns, values).await?)
}

async fn conversations(tx: &TenantRef<'_>, plan: &Plan, now: Timestamp) -> Result<(), Error> {
    let mut rows = Vec::with_capacity(plan.conversations.len());
    for (id, (previous, conversation)) in &plan.conversations {
        let state = rmp_serde::to_vec_named(&conversation.state).map_err(|error| Error::Row {
            row: "conversation",
            reason: error.to_string(),
        })?;
        rows.push(vec![
            uuid(tx.org().0),
            uuid(id.0),
            Value::from(conversation.user.map(|user| user.to_string())),
            Value::from(conversation.version),
            Value::from(*previous),
            Value::from(state),
            Value::from(now.as_millis()),
        ]);
    }
    let expected = rows.len() as u64;
    let changed = insert(
        tx,
        (
            "INSERT INTO conversation (org_id, id, user_id, version, previous, state, updated_at)",
            "ON CONFLICT (org_id, id) DO UPDATE SET version = excluded.version, \
             previous = excluded.previous, state = excluded.state, \
             updated_at = excluded.updated_at WHERE conversation.version = excluded.previous",
        ),
        rows,
    )
    .await?;
    if changed == expected {
        Ok(())
    } else {
        Err(Error::Conflict)
    }
}

async fn journal(
    tx: &TenantRef<'_>,
    plan: &Plan,
    batch: &[&Inbound],
    now: Timestamp,
) -> Result<(), Error> {
    let rows = plan.journal.iter().filter_map(|row| {
        let event = batch.get(row.event)?;
        Some(vec![
            uuid(tx.org().0),
            uuid(row.conversation_id.0),
            Value::from(row.seq),
            uuid(event.run_id.0),
            Value::from(event.message_id.as_str().to_owned()),
            Value::from(event.event_type.clone()),
            Value::from(event.content_type.as_str().to_owned()),
            Value::from(event.payload.to_vec()),
            Value::from(now.as_millis()),
        ])
    });
    let head = "INSERT INTO journal (org_id, conversation_id, seq, run_id, message_id, event_type, \
                content_type, payload, at)";
    insert(tx, (head, ""), rows.collect()).await?;
    Ok(())
}

async fn inbox(tx: &TenantRef<'_>, plan: &Plan, now: Timestamp) -> Result<(), Error> {
    let rows = plan.inbox.iter().map(|row| {
        let handled = match row.handled {
            Handled::Accepted => "accepted",
            Handled::Refused => "refused",
        };
        vec![
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

async fn outbox(tx: &TenantRef<'_>, plan: &Plan, now: Timestamp) -> Result<(), Error> {
    let mut rows = Vec::with_capacity(plan.outbox.len());
    for (run, emission) in &plan.outbox {
        let settled = i64::from(emission.settle == Settle::ByPublication);
        rows.push(vec![
            uuid(tx.org().0),
            Value::from(emission.envelope.id.as_str().to_owned()),
            uuid(run.0),
            Value::from(emission.channel.clone()),
            Value::from(settled),
            Value::from(outbox_body(&emission.envelope)?),
            Value::from(now.as_millis()),
        ]);
    }
    let head = "INSERT INTO outbox (org_id, id, run_id, channel, settled, body, at)";
    insert(tx, (head, ""), rows).await?;
    Ok(())
}

async fn dispatch(tx: &TenantRef<'_>, plan: &Plan, timing: &Timing) -> Result<(), Error> {
    let org = tx.org();
    let row = |kind: &str, id: String, due: Timestamp, until: Timestamp| {
        vec![
            uuid(org.0),
            Value::from(kind.to_owned()),
            Value::from(id),
            Value::from(due.as_millis()),
            Value::from(until.as_millis()),
            Value::from(0_i64),
        ]
    };
    let resend = timing.now.plus_millis(timing.resend_after_ms);
    let messages = plan.outbox.iter().filter_map(|(_, emission)| {
        let until = until(emission)?;
        Some(row(
            kind::MESSAGE,
            emission.envelope.id.to_string(),
            resend,
            until,
        ))
    });
    let timers = plan.timers.iter().map(|(conversation, run, at)| {
        row(
            kind::DEADLINE,
            format!("{conversation}/{run}"),
            *at,
            Timestamp::from_millis(i64::MAX),
        )
    });
    let cancels = plan
        .cancelled
        .iter()
        .map(|(run, until)| row(kind::CANCEL, run.to_string(), timing.now, *until));
    let rows = messages.chain(timers).chain(cancels).collect();
    let head = "INSERT INTO dispatch (org_id, kind, id, due_at, until, attempt)";
    insert(tx, (head, ""), rows).await?;
    Ok(())
}

fn until(emission: &Emission) -> Option<Timestamp> {
    match emission.settle {
        Settle::ByResult { until } => Some(until),
        Settle::ByReceipt => Some(Timestamp::from_millis(i64::MAX)),
        Settle::ByPublication => None,
    }
}

/// Forgets messages that arrived or need no answer any more.
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
        tx.execute(&sql, values.collect()).await?;
    }
    delete_dispatch(tx, kind::MESSAGE, ids).await
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
        tx.execute(&sql, first.into_iter().chain(list.values).collect())
            .await?;
    }
    Ok(())
}
