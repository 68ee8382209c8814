//! How long what is kept, and what an older version has left to do. Organisation by organisation.

use std::time::Duration;

use nexus_contracts::settings::Settings;
use nexus_contracts::{OrgId, Timestamp};
use nexus_service_kit::{Deps, TableView};
use nexus_store::{Store, TenantTx, Value};

use crate::error::Error;
use crate::words::indexed;

/// How often is looked for what is past its time.
const EVERY: Duration = Duration::from_secs(3600);

/// Most rows of one transaction: nobody waits longer for the one writer of `SQLite`.
const AT_ONCE: u64 = 1_000;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The moments before which an organisation keeps nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages of the archive, and questions that were never accepted.
    pub archive: Timestamp,
    /// What was said, and runs; `None` keeps them until they are deleted.
    pub history: Option<Timestamp>,
}

impl Limits {
    /// The smaller of the archive's own retention and the organisation's.
    #[must_use]
    pub fn at(now: Timestamp, retention: Duration, history_days: Option<u32>) -> Self {
        let kept = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let kept = now.as_millis().saturating_sub(kept);
        let history = history_days.map(|days| now.plus_millis(-i64::from(days) * DAY_MS));
        let archive = history.map_or(kept, |history| history.as_millis().max(kept));
        Self {
            archive: Timestamp::from_millis(archive),
            history,
        }
    }
}

/// Looks after the store until the node stops.
pub(crate) async fn run(
    deps: Deps,
    store: Store,
    settings: TableView<Settings>,
    retention: Duration,
) {
    let mut ticks = tokio::time::interval(EVERY);
    while deps
        .shutdown
        .run_until_cancelled(ticks.tick())
        .await
        .is_some()
    {
        // Until the settings are known nothing is lost that they might keep; they are asked for
        // again the next time.
        let limits = |org| Limits::at(deps.clock.now(), retention, history_days(&settings, org));
        match look_after(&store, limits).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "rows past their retention dropped"),
            Err(error) => tracing::warn!(%error, "the store could not be looked after"),
        }
    }
}

fn history_days(settings: &TableView<Settings>, org: OrgId) -> Option<u32> {
    let of = |key: &str| settings.get(key).and_then(|settings| settings.history_days);
    of(&format!("org:{org}")).or_else(|| of("global"))
}

async fn look_after(store: &Store, limits: impl Fn(OrgId) -> Limits) -> Result<u64, Error> {
    let mut gone = 0;
    for org in store.organisations().await? {
        index(store, org).await?;
        gone += prune(store, org, limits(org)).await?;
    }
    Ok(gone)
}

/// Drops what an organisation keeps no longer, in slices; gives how many rows that were.
///
/// # Errors
/// When the database refuses.
pub async fn prune(store: &Store, org: OrgId, limits: Limits) -> Result<u64, Error> {
    let archive = ("archive", "at < $2", limits.archive);
    // The number is `NEVER`.
    let untaken = "recorded_at < $2 AND (at IS NULL OR at = 9223372036854775807 OR text IS NULL)";
    let untaken = ("said", untaken, limits.archive);
    let history = limits.history.into_iter().flat_map(|before| {
        [
            ("said", "recorded_at < $2", before),
            ("run", "ended_at < $2", before),
        ]
    });
    let mut gone = 0;
    for (table, condition, before) in [archive, untaken].into_iter().chain(history) {
        let key = if table == "run" { "id" } else { "seq" };
        let sql = format!(
            "DELETE FROM {table} WHERE org_id = $1 AND {key} IN \
             (SELECT {key} FROM {table} WHERE org_id = $1 AND {condition} LIMIT {AT_ONCE})"
        );
        loop {
            let tx = store.begin(org).await?;
            let values = vec![
                Value::from(org.to_string()),
                Value::from(before.as_millis()),
            ];
            let slice = tx.execute(&sql, values).await?;
            tx.commit().await?;
            gone += slice;
            if slice < AT_ONCE {
                break;
            }
        }
    }
    Ok(gone)
}

/// Cuts into words what was said before there was a search.
///
/// # Errors
/// When the database refuses.
pub async fn index(store: &Store, org: OrgId) -> Result<(), Error> {
    loop {
        let tx = store.begin(org).await?;
        let cut = index_some(&tx).await?;
        tx.commit().await?;
        if cut < AT_ONCE {
            return Ok(());
        }
    }
}

async fn index_some(tx: &TenantTx) -> Result<u64, Error> {
    let org = || Value::from(tx.org().to_string());
    let sql = format!(
        "SELECT seq, text FROM said WHERE org_id = $1 AND words IS NULL AND text IS NOT NULL \
         LIMIT {AT_ONCE}"
    );
    let rows = tx.query(&sql, vec![org()]).await?;
    for row in &rows {
        let (seq, text): (i64, String) = (row.get("seq")?, row.get("text")?);
        let words = indexed(tx.org(), &text);
        let sql = "UPDATE said SET words = $3 WHERE org_id = $1 AND seq = $2";
        tx.execute(sql, vec![org(), Value::from(seq), Value::from(words)])
            .await?;
    }
    Ok(rows.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_retention_wins_for_the_archive_and_only_an_organisation_ends_history() {
        let now = Timestamp::from_millis(100 * DAY_MS);
        let limits = |days: u64, history| {
            let limits = Limits::at(now, Duration::from_secs(days * 24 * 3600), history);
            let day = |at: Timestamp| at.as_millis() / DAY_MS;
            (day(limits.archive), limits.history.map(day))
        };
        assert_eq!(limits(30, None), (70, None));
        assert_eq!(limits(30, Some(7)), (93, Some(93)));
        assert_eq!(limits(30, Some(60)), (70, Some(40)));
    }
}
