//! No connection keeps an organisation, whatever became of whoever used it.

use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_contracts::OrgId;
use nexus_store::{Store, Value};
use nexus_testkit::wait_until;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, org};

const SOON: Duration = Duration::from_secs(20);

/// Every connection at once, so that none is left out: whose is it?
async fn is_clean(store: &Store) -> Result<bool> {
    let sql = "SELECT COALESCE(current_setting('app.org_id', true), '') AS org";
    let (mut open, mut clean) = (Vec::new(), true);
    for _ in 0..6 {
        let tx = store.begin_shared().await?;
        for row in tx.query(sql, Vec::new()).await? {
            clean &= row.get::<String>("org")?.is_empty();
        }
        open.push(tx);
    }
    Ok(clean)
}

async fn read_all(store: &Store, org: OrgId, sleep: &str) -> Result<usize> {
    let tx = store.begin(org).await?;
    let sql = format!("SELECT id{sleep} FROM note WHERE org_id = $1");
    Ok(tx
        .query(&sql, vec![Value::from(org.to_string())])
        .await?
        .len())
}

#[tokio::test]
async fn given_up_half_way_it_is_nobodys_again() -> Result<()> {
    let fixture = Fixture::postgres().await?;
    let (store, org) = (fixture.open().await?, org());
    let tx = store.begin(org).await?;
    let add = "INSERT INTO note (org_id, id) VALUES ($1, 1)";
    tx.execute(add, vec![Value::from(org.to_string())]).await?;
    tx.commit().await?;
    for round in 0..200_u64 {
        // From within BEGIN, over the setting of the organisation, into the statement itself.
        let patience = Duration::from_micros(round * 25);
        let slow = ", pg_sleep(0.003)::text";
        let _ = tokio::time::timeout(patience, read_all(&store, org, slow)).await;
    }
    ensure!(is_clean(&store).await?);
    ensure!(read_all(&store, org, "").await? == 1);
    Ok(())
}

#[tokio::test]
async fn a_panic_in_the_middle_leaves_it_nobodys() -> Result<()> {
    let fixture = Fixture::postgres().await?;
    let (store, org) = (fixture.open().await?, org());
    let mut doomed = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        doomed.spawn(async move {
            read_all(&store, org, "").await.ok();
            let tx = store.begin(org).await.ok();
            let sql = "INSERT INTO note (org_id, id) VALUES ($1, 1)";
            if let Some(tx) = &tx {
                tx.execute(sql, vec![Value::from(org.to_string())])
                    .await
                    .ok();
            }
            panic!("as told");
        });
    }
    while let Some(ended) = doomed.join_next().await {
        ensure!(ended.is_err_and(|error| error.is_panic()));
    }
    ensure!(is_clean(&store).await?);
    ensure!(read_all(&store, org, "").await? == 0, "a panic committed");
    Ok(())
}

/// A transaction somebody forgot is ended by the server, and its locks with it.
#[tokio::test]
async fn an_idle_transaction_does_not_stay() -> Result<()> {
    let fixture = Fixture::postgres().await?;
    let store = fixture.open().await?;
    let tx = store.begin_shared().await?;
    let sql = "SELECT current_setting('idle_in_transaction_session_timeout') AS ends";
    for row in tx.query(sql, Vec::new()).await? {
        let ends: String = row.get("ends")?;
        ensure!(ends == "1min", "{ends}");
    }
    drop(tx);
    wait_until(SOON, "no transaction to be open", async || {
        let sql = "SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' \
                   AND pid <> pg_backend_pid()";
        Ok(store
            .read_shared()
            .await?
            .query(sql, Vec::new())
            .await?
            .is_empty())
    })
    .await
}
