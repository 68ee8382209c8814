//! What each kind of durability asks of the database, and what it keeps when a process is killed.

use anyhow::{Context, Result, ensure};
use nexus_store::{Durability, Store, StoreConfig, StoreKind, Value};
use nexus_testkit::wait_until;

use crate::fixture::{Fixture, NOTES, SERVICE, org};

const KINDS: [Durability; 3] = [Durability::Always, Durability::Group, Durability::Os];

async fn setting(store: &Store) -> Result<String> {
    let tx = store.begin_shared().await?;
    let rows = match store.kind() {
        StoreKind::Sqlite => tx.query("PRAGMA synchronous", Vec::new()).await?,
        StoreKind::Postgres => {
            let sql = "SELECT current_setting('synchronous_commit') AS synchronous";
            tx.query(sql, Vec::new()).await?
        }
    };
    let row = rows.first().context("a setting")?;
    Ok(match store.kind() {
        StoreKind::Sqlite => row.get::<i64>("synchronous")?.to_string(),
        StoreKind::Postgres => row.get("synchronous")?,
    })
}

pub(crate) async fn every_kind_keeps_what_was_committed(fixture: &Fixture) -> Result<()> {
    let org = org();
    for (number, durability) in (1_i64..).zip(KINDS) {
        let config = StoreConfig {
            durability,
            ..fixture.config()?
        };
        let store = Store::open(&config, SERVICE, NOTES).await?;
        let expected = match (store.kind(), durability) {
            (StoreKind::Sqlite, Durability::Always) => "2",
            (StoreKind::Sqlite, Durability::Group | Durability::Os) => "1",
            (StoreKind::Postgres, Durability::Os) => "off",
            (StoreKind::Postgres, Durability::Always | Durability::Group) => "on",
        };
        ensure!(setting(&store).await? == expected, "{durability:?}");
        let tx = store.begin(org).await?;
        let sql = "INSERT INTO note (org_id, id) VALUES ($1, $2)";
        let values = vec![Value::from(org.to_string()), Value::from(number)];
        tx.execute(sql, values).await?;
        tx.commit().await?;
        store.ping().await?;
        store.close().await;
    }
    let store = fixture.open().await?;
    let sql = "SELECT id FROM note WHERE org_id = $1";
    let values = vec![Value::from(org.to_string())];
    ensure!(store.read(org).await?.query(sql, values).await?.len() == KINDS.len());
    Ok(())
}

/// A server that was told to lose the last moment does so for nobody who did not ask for it.
#[tokio::test]
async fn a_server_that_does_not_wait_is_made_to() -> Result<()> {
    let server = nexus_testkit::postgres().await?;
    let url = server.fresh_database().await?;
    let name = url.rsplit('/').next().context("a database")?;
    let sql = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    server.psql(&sql).await?;
    let store = Store::open(&url.parse()?, SERVICE, NOTES).await?;
    ensure!(setting(&store).await? == "on");
    Ok(())
}

/// A commit of `PostgreSQL` that was answered survives `pg_ctl stop -m immediate`.
#[tokio::test]
async fn a_server_stopped_at_once_keeps_what_it_confirmed() -> Result<()> {
    let mut server = nexus_testkit::postgres().await?;
    let config: StoreConfig = server.fresh_database().await?.parse()?;
    let (store, org) = (Store::open(&config, SERVICE, NOTES).await?, org());
    for id in 0..50_i64 {
        let tx = store.begin(org).await?;
        let sql = "INSERT INTO note (org_id, id) VALUES ($1, $2)";
        tx.execute(sql, vec![Value::from(org.to_string()), Value::from(id)])
            .await?;
        tx.commit().await?;
    }
    server.restart().await?;
    let sql = "SELECT id FROM note WHERE org_id = $1";
    let patience = std::time::Duration::from_secs(20);
    wait_until(patience, "the server to be back", async || {
        Ok(store.ping().await.is_ok())
    })
    .await?;
    let kept = store
        .read(org)
        .await?
        .query(sql, vec![Value::from(org.to_string())])
        .await?;
    ensure!(kept.len() == 50, "{}", kept.len());
    Ok(())
}
