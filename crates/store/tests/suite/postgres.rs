//! What only a server can do: be shared, and go away.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_store::{Store, StoreError, Value};
use nexus_testkit::wait_until;

use crate::fixture::{NOTES, org};

#[tokio::test]
async fn services_have_schemas_of_their_own() -> Result<()> {
    let server = nexus_testkit::postgres().await?;
    let config = server.fresh_database().await?.parse()?;
    let one = Store::open(&config, "first-service", NOTES).await?;
    let two = Store::open(&config, "second-service", NOTES).await?;
    let tx = one.begin_shared().await?;
    tx.execute(
        "INSERT INTO counter (n) VALUES ($1)",
        vec![Value::from(1_i64)],
    )
    .await?;
    tx.commit().await?;
    let count = async |store: &Store| {
        let tx = store.read_shared().await?;
        anyhow::Ok(tx.query("SELECT n FROM counter", vec![]).await?.len())
    };
    ensure!(count(&one).await? == 1 && count(&two).await? == 0);
    let tx = one.read_shared().await?;
    let rows = tx.query("SELECT current_schema() AS name", vec![]).await?;
    let name: String = rows.first().context("a row")?.get("name")?;
    ensure!(name == "nexus_first_service", "{name}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_restarts_costs_no_more_than_a_retry() -> Result<()> {
    let mut server = nexus_testkit::postgres().await?;
    let config = server.fresh_database().await?.parse()?;
    let store = Store::open(&config, "restarted", NOTES).await?;
    let org = org();
    server.kill().await?;
    let down = store.begin(org).await.err();
    ensure!(
        matches!(&down, Some(StoreError::Unavailable(_))),
        "{down:?}"
    );
    ensure!(down.is_some_and(|error| error.is_transient()));
    server.start().await?;
    wait_until(
        Duration::from_secs(20),
        "the store to be back",
        async || {
            let tx = store.begin(org).await?;
            let values = vec![Value::from(org.to_string()), Value::from(1_i64)];
            tx.execute("INSERT INTO note (org_id, id) VALUES ($1, $2)", values)
                .await?;
            Ok(tx.commit().await.is_ok())
        },
    )
    .await?;
    let tx = store.read(org).await?;
    let sql = "SELECT id FROM note WHERE org_id = $1";
    ensure!(
        tx.query(sql, vec![Value::from(org.to_string())])
            .await?
            .len()
            == 1
    );
    Ok(())
}
