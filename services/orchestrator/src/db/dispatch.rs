//! What is due: read and claimed across organisations, without any content.

use nexus_contracts::{ConversationId, OrgId, RunId, Timestamp};
use nexus_store::{SharedTx, TenantRef, Value};

use super::uuid;
use crate::core::Timer;
use crate::error::Error;

/// Kinds of dispatch rows.
pub mod kind {
    /// An unsettled message of the outbox; id is the message's.
    pub const MESSAGE: &str = "message";
    /// A run's deadline; id is `<conversation>/<run>`.
    pub const DEADLINE: &str = "deadline";
    /// An approval's expiry; id is `<conversation>/<run>/<approval>`.
    pub const APPROVAL: &str = "approval";
    /// A cancellation to be projected until `until`; id is the run's.
    pub const CANCEL: &str = "cancel";
    /// The organisation's rows are pruned; id is `daily`.
    pub const RETENTION: &str = "retention";
}

/// Kind and id of a timer's row.
#[must_use]
pub fn timer_key(conversation: ConversationId, timer: &Timer) -> (&'static str, String) {
    match timer {
        Timer::Deadline(run) => (kind::DEADLINE, format!("{conversation}/{run}")),
        Timer::Approval(run, approval) => {
            (kind::APPROVAL, format!("{conversation}/{run}/{approval}"))
        }
    }
}

/// The timer of a row.
#[must_use]
pub fn timer_of(due: &Due) -> Option<(ConversationId, Timer)> {
    let mut parts = due.id.splitn(3, '/');
    let conversation = parts.next()?.parse().ok()?;
    let run: RunId = parts.next()?.parse().ok()?;
    let timer = match (due.kind.as_str(), parts.next()) {
        (kind::DEADLINE, None) => Timer::Deadline(run),
        (kind::APPROVAL, Some(approval)) => Timer::Approval(run, approval.parse().ok()?),
        _ => return None,
    };
    Some((conversation, timer))
}

/// A row that is due, claimed by this replica until its next due time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The tenant.
    pub org: OrgId,
    /// See [`kind`].
    pub kind: String,
    /// What is due.
    pub id: String,
    /// After this moment it no longer matters.
    pub until: Timestamp,
    /// When it is due again, unless somebody sets it anew meanwhile.
    pub again: Timestamp,
}

/// Longest time between two publications of one message.
const MOST_BACKOFF_MS: i64 = 10 * 60 * 1000;

/// When a row that was due `attempt` times before is due again: doubling, at most ten minutes.
#[must_use]
pub fn next_due(now: Timestamp, attempt: i64, resend_after_ms: i64) -> Timestamp {
    let doubled = resend_after_ms.saturating_mul(1_i64 << attempt.clamp(0, 20));
    now.plus_millis(doubled.min(MOST_BACKOFF_MS.max(resend_after_ms)))
}

/// Claims up to `limit` rows that are due. A row another replica claims meanwhile is left out.
///
/// # Errors
/// When the database refuses.
pub async fn claim_due(
    tx: &SharedTx,
    now: Timestamp,
    resend_after_ms: i64,
    limit: u32,
) -> Result<Vec<Due>, Error> {
    let sql = format!(
        "SELECT org_id, kind, id, due_at, until, attempt FROM dispatch WHERE due_at <= $1 \
         ORDER BY due_at LIMIT {limit}"
    );
    let rows = tx.query(&sql, vec![Value::from(now.as_millis())]).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let (org, kind, id): (String, String, String) =
            (row.get("org_id")?, row.get("kind")?, row.get("id")?);
        let (due, attempt): (i64, i64) = (row.get("due_at")?, row.get("attempt")?);
        let until: i64 = row.get("until")?;
        let again = next_due(now, attempt, resend_after_ms);
        let changed = tx
            .execute(
                "UPDATE dispatch SET due_at = $1, attempt = attempt + 1 \
                 WHERE org_id = $2 AND kind = $3 AND id = $4 AND due_at = $5",
                vec![
                    Value::from(again.as_millis()),
                    Value::from(org.clone()),
                    Value::from(kind.clone()),
                    Value::from(id.clone()),
                    Value::from(due),
                ],
            )
            .await?;
        if changed == 1 {
            let org = org.parse().map_err(|error: uuid::Error| Error::Row {
                row: "dispatch",
                reason: error.to_string(),
            })?;
            claimed.push(Due {
                org,
                kind,
                id,
                until: Timestamp::from_millis(until),
                again,
            });
        }
    }
    Ok(claimed)
}

/// Makes every unsettled message due now: the bus lost what was published.
///
/// # Errors
/// When the database refuses.
pub async fn all_due(tx: &SharedTx, now: Timestamp) -> Result<u64, Error> {
    let sql = "UPDATE dispatch SET due_at = $1 WHERE kind = $2 AND due_at > $1";
    let values = vec![
        Value::from(now.as_millis()),
        Value::from(kind::MESSAGE.to_owned()),
    ];
    Ok(tx.execute(sql, values).await?)
}

/// Forgets a row, unless it was set anew since it was claimed.
///
/// # Errors
/// When the database refuses.
pub async fn forget(tx: &SharedTx, due: &Due) -> Result<(), Error> {
    let sql = "DELETE FROM dispatch WHERE org_id = $1 AND kind = $2 AND id = $3 AND due_at = $4";
    let values = vec![
        uuid(due.org.0),
        Value::from(due.kind.clone()),
        Value::from(due.id.clone()),
        Value::from(due.again.as_millis()),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Remembers which life of a channel was seen; true when another one was seen before.
///
/// # Errors
/// When the database refuses.
pub async fn changed_incarnation(
    tx: &SharedTx,
    channel: &str,
    incarnation: &str,
) -> Result<bool, Error> {
    let rows = tx
        .query(
            "SELECT incarnation FROM bus_incarnation WHERE channel = $1",
            vec![Value::from(channel.to_owned())],
        )
        .await?;
    let before: Option<String> = rows.first().map(|row| row.get("incarnation")).transpose()?;
    if before.as_deref() == Some(incarnation) {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO bus_incarnation (channel, incarnation) VALUES ($1, $2) \
         ON CONFLICT (channel) DO UPDATE SET incarnation = excluded.incarnation",
        vec![
            Value::from(channel.to_owned()),
            Value::from(incarnation.to_owned()),
        ],
    )
    .await?;
    Ok(before.is_some())
}

/// Makes every row of a kind due later.
///
/// # Errors
/// When the database refuses.
pub async fn postpone(tx: &SharedTx, kind: &str, at: Timestamp) -> Result<u64, Error> {
    let sql = "UPDATE dispatch SET due_at = $1 WHERE kind = $2";
    let values = vec![Value::from(at.as_millis()), Value::from(kind.to_owned())];
    Ok(tx.execute(sql, values).await?)
}

/// Has the organisation's rows pruned at this moment, if nothing else is planned.
///
/// # Errors
/// When the database refuses.
pub async fn plan_retention(tx: &TenantRef<'_>, at: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO dispatch (org_id, kind, id, due_at, until, attempt) \
               VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING";
    let values = vec![
        uuid(tx.org().0),
        Value::from(kind::RETENTION.to_owned()),
        Value::from("daily".to_owned()),
        Value::from(at.as_millis()),
        Value::from(i64::MAX),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Plans the next pruning of the organisation.
///
/// # Errors
/// When the database refuses.
pub async fn plan_next_retention(tx: &SharedTx, due: &Due, at: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE dispatch SET due_at = $1, attempt = 0 \
               WHERE org_id = $2 AND kind = $3 AND id = $4";
    let values = vec![
        Value::from(at.as_millis()),
        uuid(due.org.0),
        Value::from(due.kind.clone()),
        Value::from(due.id.clone()),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_double_up_to_ten_minutes() {
        let at = |attempt| next_due(Timestamp::from_millis(0), attempt, 30_000).as_millis();
        assert_eq!([at(0), at(1), at(2)], [30_000, 60_000, 120_000]);
        assert_eq!([at(10), at(i64::MAX)], [600_000, 600_000]);
    }
}
