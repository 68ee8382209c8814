//! Writing a batch: the archive and the read models, one multi-row statement a table.

use std::collections::{BTreeMap, BTreeSet};

use nexus_contracts::OrgId;
use nexus_service_kit::crash_point;
use nexus_store::{InList, Row, Store, StoreKind, TenantRef, Value};

use crate::changes::Changes;
use crate::error::Error;
use crate::fact::Recorded;

mod archive;
mod branches;
mod erase;
mod models;

/// Writes messages in one transaction. Writing them again changes nothing.
///
/// # Errors
/// When the database refuses; nothing is written then.
pub async fn write(store: &Store, batch: &[Recorded]) -> Result<(), Error> {
    let mut by_org: BTreeMap<OrgId, Vec<&Recorded>> = BTreeMap::new();
    for recorded in batch {
        by_org.entry(recorded.org).or_default().push(recorded);
    }
    let tx = store.begin_shared().await?;
    for (org, messages) in by_org {
        let tenant = tx.tenant(org);
        if store.kind() == StoreKind::Postgres {
            alone(&tenant).await?;
        }
        write_of(&tenant, &messages).await?;
    }
    crash_point!("recorder.before_commit", fail => return nexus_service_kit::crash::no_store());
    tx.commit().await?;
    crash_point!("recorder.committed", fail => return nexus_service_kit::crash::no_store());
    Ok(())
}

/// One writer at a time for each organisation, as on `SQLite`: what a batch decides (is this
/// conversation gone, does that branch show this) must still be so when it commits.
async fn alone(tx: &TenantRef<'_>) -> Result<(), Error> {
    /// Any number that nobody else locks with.
    const RECORDER: i64 = 0x7265_636f_7264;
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, $2))";
    tx.query(sql, vec![org(tx), Value::from(RECORDER)]).await?;
    Ok(())
}

async fn write_of(tx: &TenantRef<'_>, messages: &[&Recorded]) -> Result<(), Error> {
    let mut changes = Changes::default();
    messages.iter().for_each(|recorded| changes.add(recorded));
    branches::insert(tx, &changes).await?;
    let named: BTreeSet<String> = messages
        .iter()
        .filter_map(|recorded| recorded.conversation_id.map(|id| id.to_string()))
        .collect();
    let named: Vec<String> = named.into_iter().collect();
    let mut gone = erase::gone(tx, &named).await?;
    let deleted = erase::mark(tx, &changes, &mut gone).await?;
    let is_kept = |recorded: &&&Recorded| {
        let id = recorded.conversation_id.map(|id| id.to_string());
        id.is_none_or(|id| !gone.contains_key(&id))
    };
    let kept: Vec<&Recorded> = messages.iter().filter(is_kept).copied().collect();
    archive::insert(tx, &kept).await?;
    let turning_points: Vec<String> = changes.turning_points().into_iter().collect();
    changes.forget(&gone);
    let shown_elsewhere = gone.values().any(|is_held| *is_held) || !changes.branches.is_empty();
    models::insert(tx, changes).await?;
    let moved = branches::cut(tx, &turning_points).await?;
    if deleted.is_empty() && !moved && !shown_elsewhere {
        return Ok(());
    }
    tx.erasing(async {
        erase::erase(tx, &deleted).await?;
        erase::release(tx).await
    })
    .await
}

fn org(tx: &TenantRef<'_>) -> Value {
    Value::from(tx.org().to_string())
}

/// Text as both databases take it: `PostgreSQL` refuses NUL, which a client may well have sent.
fn plain(text: &str) -> Value {
    Value::from(text.replace('\0', "\u{fffd}"))
}

fn plain_option(text: Option<&str>) -> Value {
    Value::from(text.map(|text| text.replace('\0', "\u{fffd}")))
}

/// Statements of `{before} ($2, $3, …)` over all ids, with the organisation as `$1`.
fn listed(tx: &TenantRef<'_>, before: &str, ids: &[String]) -> Vec<(String, Vec<Value>)> {
    let statement = |list: InList| {
        let values = std::iter::once(org(tx)).chain(list.values);
        (format!("{before} {}", list.text), values.collect())
    };
    InList::chunks(ids, 2).map(statement).collect()
}

async fn query_listed(tx: &TenantRef<'_>, before: &str, ids: &[String]) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for (sql, values) in listed(tx, before, ids) {
        rows.extend(tx.query(&sql, values).await?);
    }
    Ok(rows)
}

async fn execute_listed(tx: &TenantRef<'_>, before: &str, ids: &[String]) -> Result<u64, Error> {
    let mut changed = 0;
    for (sql, values) in listed(tx, before, ids) {
        changed += tx.execute(&sql, values).await?;
    }
    Ok(changed)
}
