//! One organisation, and only that.

use anyhow::{Context, Result, ensure};
use nexus_contracts::OrgId;
use nexus_store::{Schema, SharedTx, Store, StoreError, StoreKind, TenantRef, Value};

use crate::fixture::{Fixture, NOTES, SERVICE, org};

fn text(org: OrgId) -> Value {
    Value::from(org.to_string())
}

async fn add(tx: &TenantRef<'_>, id: i64) -> Result<u64, StoreError> {
    let sql = "INSERT INTO note (org_id, id) VALUES ($1, $2)";
    tx.execute(sql, vec![text(tx.org()), Value::from(id)]).await
}

async fn count(tx: &TenantRef<'_>) -> Result<i64> {
    let sql = "SELECT count(*) AS n FROM note WHERE org_id = $1";
    let rows = tx.query(sql, vec![text(tx.org())]).await?;
    Ok(rows.first().context("a count")?.get("n")?)
}

fn is_refused<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotTenants { .. }))
}

pub(crate) async fn another_organisation_reaches_nothing(fixture: &Fixture) -> Result<()> {
    let (store, ours, theirs) = (fixture.open().await?, org(), org());
    let tx = store.begin(theirs).await?;
    add(&tx.as_ref(), 1).await?;
    tx.commit().await?;
    let both = || vec![text(ours), text(theirs)];
    for sql in [
        "SELECT id FROM note WHERE org_id = $1 OR org_id = $2",
        "SELECT id FROM note WHERE $1 <> org_id",
        "SELECT id FROM note WHERE org_id = $2 AND $1 = $1",
        "SELECT (SELECT max(id) FROM note WHERE org_id <> $1) AS id",
        "DELETE FROM note WHERE org_id = $2 AND body IS DISTINCT FROM $1",
        "UPDATE note SET body = $1 WHERE org_id = $2",
        "UPDATE note SET org_id = $2 WHERE org_id = $1",
        "INSERT INTO note (org_id, id, body) VALUES ($2, 2, $1)",
        "INSERT INTO note (org_id, id) SELECT $1, id FROM note WHERE org_id = $2",
    ] {
        let tx = store.begin(ours).await?;
        ensure!(is_refused(&tx.query(sql, both()).await), "{sql}");
        ensure!(is_refused(&tx.execute(sql, both()).await), "{sql}");
    }
    let tx = store.read(theirs).await?;
    ensure!(count(&tx.as_ref()).await? == 1);
    Ok(())
}

pub(crate) async fn nobody_reaches_nothing(fixture: &Fixture) -> Result<()> {
    let (store, ours) = (fixture.open().await?, org());
    let tx = store.begin(ours).await?;
    add(&tx.as_ref(), 1).await?;
    tx.commit().await?;
    let tx = store.begin_shared().await?;
    for sql in [
        "SELECT id FROM note",
        "DELETE FROM note",
        "UPDATE note SET body = 'x'",
    ] {
        ensure!(is_refused(&tx.execute(sql, Vec::new()).await), "{sql}");
    }
    // Not even with the right id: without an organisation there is none to be right for.
    let sql = "SELECT id FROM note WHERE org_id = $1";
    ensure!(is_refused(&tx.query(sql, vec![text(ours)]).await));
    // And nobody but the store says whose a transaction is, or where it ends.
    for sql in [
        "SET app.org_id = 'x'",
        "ROLLBACK",
        "SELECT set_config('app.org_id', 'x', true)",
    ] {
        ensure!(is_refused(&tx.query(sql, Vec::new()).await), "{sql}");
    }
    Ok(())
}

/// What the database itself takes the transaction's organisation to be.
async fn seen(store: &Store, tx: &SharedTx, tenant: Option<OrgId>) -> Result<Option<String>> {
    if store.kind() == StoreKind::Sqlite {
        return Ok(tenant.map(|org| org.to_string()));
    }
    let sql = "SELECT NULLIF(current_setting('app.org_id', true), '') AS org";
    let rows = match tenant {
        None => tx.query(sql, Vec::new()).await?,
        Some(org) => {
            let sql = format!("{sql} WHERE $1 = $1");
            tx.tenant(org).query(&sql, vec![text(org)]).await?
        }
    };
    Ok(rows.first().context("a setting")?.get("org")?)
}

pub(crate) async fn one_transaction_goes_from_one_to_the_other(fixture: &Fixture) -> Result<()> {
    let (store, one, two) = (fixture.open().await?, org(), org());
    let tx = store.begin_shared().await?;
    for tenant in [None, Some(one), Some(two), Some(one), None, Some(two)] {
        let seen = seen(&store, &tx, tenant).await?;
        ensure!(seen == tenant.map(|org| org.to_string()), "{seen:?}");
    }
    add(&tx.tenant(one), 1).await?;
    add(&tx.tenant(two), 1).await?;
    ensure!(count(&tx.tenant(one)).await? == 1 && count(&tx.tenant(two)).await? == 1);
    tx.commit().await?;
    // The next user of the connection is nobody.
    for _ in 0..20 {
        let tx = store.begin_shared().await?;
        ensure!(seen(&store, &tx, None).await?.is_none());
    }
    Ok(())
}

pub(crate) async fn organisations_are_listed_once_they_have_rows(fixture: &Fixture) -> Result<()> {
    let (one, two, three) = (org(), org(), org());
    let store = fixture.open().await?;
    for (org, commits) in [(one, true), (two, false), (two, true), (one, true)] {
        let tx = store.begin(org).await?;
        let id = i64::try_from(store.organisations().await?.len())?;
        add(&tx.as_ref(), id).await?;
        if commits {
            tx.commit().await?;
        } else {
            drop(tx);
            ensure!(
                !store.organisations().await?.contains(&two),
                "it was rolled back"
            );
        }
    }
    // Looking is not having, and what is exempt does not count.
    let tx = store.begin(three).await?;
    ensure!(count(&tx.as_ref()).await? == 0);
    tx.commit().await?;
    let mut listed = store.organisations().await?;
    listed.sort_unstable();
    ensure!(listed == [one, two], "{listed:?}");
    Ok(())
}

/// On one transaction, at the same moment: each statement still runs under its own.
pub(crate) async fn statements_of_two_organisations_may_be_asked_at_once(
    fixture: &Fixture,
) -> Result<()> {
    let (store, one, two) = (fixture.open().await?, org(), org());
    let tx = store.begin_shared().await?;
    let (a, b) = (tx.tenant(one), tx.tenant(two));
    for id in 0..50 {
        let (x, y) = tokio::join!(add(&a, id), add(&b, id));
        ensure!(x? == 1 && y? == 1);
    }
    let (x, y) = tokio::join!(count(&a), count(&b));
    ensure!(x? == 50 && y? == 50);
    Ok(())
}

#[tokio::test]
async fn a_file_from_before_organisations_were_listed_lists_them() -> Result<()> {
    let fixture = Fixture::sqlite()?;
    let (store, org) = (fixture.open().await?, org());
    let tx = store.begin(org).await?;
    add(&tx.as_ref(), 1).await?;
    tx.commit().await?;
    store.close().await;
    let path = fixture
        .address
        .strip_prefix("sqlite:")
        .context("a folder")?;
    let old = rusqlite::Connection::open(format!("{path}/{SERVICE}.db"))?;
    old.execute_batch("DROP TABLE nexus_organisation")?;
    drop(old);
    let store = Store::open(&fixture.config()?, SERVICE, Schema::new(NOTES)).await?;
    ensure!(store.organisations().await? == [org]);
    Ok(())
}
