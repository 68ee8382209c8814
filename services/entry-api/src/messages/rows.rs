//! From rows to what they mean, and the values statements are bound to.

use bytes::Bytes;
use nexus_contracts::{MessageId, OrgId, RunId, Timestamp};
use nexus_store::{Row, SharedTx, StoreError, TenantRef, Value};

use super::Known;
use crate::Error;
use crate::answer::{Ending, Final};
use crate::outbox::Key;
use crate::submission::{Kind, Submission};

/// Most names of one `IN (…)`.
const MOST_NAMES: usize = 64;

/// A message with its end, if it has one, and whether it waits for the orchestrator.
pub(super) const FIND: &str = "SELECT m.run_id, m.message_id, m.event_type, m.conversation_id, \
    m.parent_id, m.about_run, m.approval_id, m.user_id, m.payload, m.created_at, \
    a.ending AS ending, a.payload AS answer, d.run_id AS waiting \
    FROM message m \
    LEFT JOIN answer a ON a.org_id = m.org_id AND a.run_id = m.run_id \
    LEFT JOIN dispatch d ON d.org_id = m.org_id AND d.run_id = m.run_id \
    WHERE m.org_id = $1 AND m.run_id = $2";

/// A row of [`FIND`].
pub(super) fn known(org: OrgId, row: &Row) -> Result<Known, Error> {
    let ending: Option<String> = row.get("ending")?;
    let payload: Option<Vec<u8>> = row.get("answer")?;
    let ending = ending.as_deref().and_then(Ending::parse);
    let last = ending.zip(payload).map(|(ending, payload)| Final {
        ending,
        payload: Bytes::from(payload),
    });
    let queued: Option<String> = row.get("waiting")?;
    Ok(Known {
        submission: submission(org, row)?,
        queued: queued.is_some(),
        last,
    })
}

fn submission(org: OrgId, row: &Row) -> Result<Submission, Error> {
    let message_id: String = row.get("message_id")?;
    let approval: Option<String> = row.get("approval_id")?;
    let payload: Vec<u8> = row.get("payload")?;
    let approval = approval.map(MessageId::new).transpose();
    Ok(Submission {
        org,
        user: id(row, "user_id")?,
        kind: kind(row)?,
        message_id: MessageId::new(message_id).map_err(Error::Contract)?,
        run: id(row, "run_id")?,
        conversation: id(row, "conversation_id")?,
        parent: maybe_id(row, "parent_id")?,
        about: maybe_id(row, "about_run")?,
        approval: approval.map_err(Error::Contract)?,
        keyed: false,
        payload: Bytes::from(payload),
        at: Timestamp::from_millis(row.get("created_at")?),
        traceparent: None,
    })
}

pub(super) fn kind(row: &Row) -> Result<Kind, Error> {
    let text: String = row.get("event_type")?;
    Kind::parse(&text).ok_or(Error::Corrupt {
        column: "event_type",
        text,
    })
}

pub(super) fn key(row: &Row) -> Result<Key, Error> {
    Ok(Key {
        org: id(row, "org_id")?,
        run: id(row, "run_id")?,
    })
}

pub(super) fn text(id: &impl ToString) -> Value {
    Value::from(id.to_string())
}

pub(super) fn maybe_text(id: Option<&impl ToString>) -> Value {
    Value::from(id.map(ToString::to_string))
}

pub(super) fn id<T: std::str::FromStr>(row: &Row, column: &'static str) -> Result<T, Error> {
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|_unreadable| Error::Corrupt { column, text })
}

fn maybe_id<T: std::str::FromStr>(row: &Row, column: &'static str) -> Result<Option<T>, Error> {
    let text: Option<String> = row.get(column)?;
    let read = |text: String| {
        text.parse()
            .map_err(|_unreadable| Error::Corrupt { column, text })
    };
    text.map(read).transpose()
}

/// Runs `{sql} ($2,$3,…) {after}` over all names, in as many statements as it takes; `$1` is the
/// organisation. Gives all rows.
pub(super) async fn among(
    tenant: &TenantRef<'_>,
    (sql, after): (&str, &str),
    names: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    for names in names.chunks(MOST_NAMES) {
        let (list, names) = list(2, names.to_vec());
        let values = std::iter::once(text(&tenant.org())).chain(names).collect();
        let sql = format!("{sql} {list} {after}");
        rows.extend(tenant.query(&sql, values).await?);
    }
    Ok(rows)
}

/// These wait for the orchestrator no more.
pub(super) async fn settle(
    tx: &SharedTx,
    keys: impl IntoIterator<Item = Key>,
) -> Result<(), StoreError> {
    let values = keys
        .into_iter()
        .flat_map(|key| [text(&key.org), text(&key.run)]);
    let before = "DELETE FROM dispatch WHERE (org_id, run_id) IN (VALUES";
    tx.execute_rows(before, ")", 2, values.collect()).await?;
    Ok(())
}

/// `($2,$3,…)` and the values for it. The last one fills up to a power of two, so that there are
/// few texts and the database remembers how it reads them.
pub(super) fn list(first: usize, mut values: Vec<Value>) -> (String, Vec<Value>) {
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    let places: Vec<String> = (first..first + values.len())
        .map(|number| format!("${number}"))
        .collect();
    (format!("({})", places.join(",")), values)
}

/// Rows for `INSERT INTO message`.
pub(super) fn message_row(row: &Submission) -> [Value; 12] {
    let fingerprint = if row.keyed {
        row.fingerprint()
    } else {
        Vec::new()
    };
    [
        text(&row.org),
        text(&row.run),
        text(&row.message_id),
        Value::from(row.kind.event_type()),
        text(&row.conversation),
        maybe_text(row.parent.as_ref()),
        maybe_text(row.about.as_ref()),
        maybe_text(row.approval.as_ref()),
        text(&row.user),
        Value::from(fingerprint),
        Value::from(row.payload.to_vec()),
        Value::from(row.at.as_millis()),
    ]
}

/// The runs of these rows.
pub(super) fn runs(rows: &[Row]) -> Result<Vec<RunId>, Error> {
    rows.iter().map(|row| id(row, "run_id")).collect()
}
