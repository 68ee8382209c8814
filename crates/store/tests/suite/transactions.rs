//! Transactions, organisations, errors.

use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_contracts::OrgId;
use nexus_store::{Store, StoreError, StoreKind, TenantTx, Value};
use nexus_testkit::wait_until;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, NOTES, org};

const SOON: Duration = Duration::from_secs(20);

pub(crate) fn text(org: OrgId) -> Value {
    Value::from(org.to_string())
}

pub(crate) async fn add(tx: &TenantTx, id: i64) -> Result<u64, StoreError> {
    let sql = "INSERT INTO note (org_id, id, body) VALUES ($1, $2, $3)";
    tx.execute(
        sql,
        vec![text(tx.org()), Value::from(id), Value::from("hello")],
    )
    .await
}

pub(crate) async fn ids(tx: &TenantTx) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM note WHERE org_id = $1 ORDER BY id";
    let rows = tx.query(sql, vec![text(tx.org())]).await?;
    Ok(rows
        .iter()
        .map(|row| row.get("id"))
        .collect::<Result<_, _>>()?)
}

pub(crate) async fn stored(store: &Store, org: OrgId) -> Result<Vec<i64>> {
    ids(&store.read(org).await?).await
}

pub(crate) async fn a_dropped_transaction_leaves_nothing(fixture: &Fixture) -> Result<()> {
    let (store, org) = (fixture.open().await?, org());
    let tx = store.begin(org).await?;
    add(&tx, 1).await?;
    ensure!(ids(&tx).await? == [1], "a transaction sees its own rows");
    drop(tx);
    let tx = store.begin(org).await?;
    ensure!(ids(&tx).await?.is_empty());
    add(&tx, 2).await?;
    tx.commit().await?;
    ensure!(stored(&store, org).await? == [2]);
    Ok(())
}

pub(crate) async fn a_committed_one_is_there_after_reopening(fixture: &Fixture) -> Result<()> {
    let org = org();
    let store = fixture.open().await?;
    let tx = store.begin(org).await?;
    add(&tx, 1).await?;
    tx.commit().await?;
    store.close().await;
    let store = fixture.open().await?;
    ensure!(stored(&store, org).await? == [1]);
    store.ping().await?;
    Ok(())
}

/// A begin is given up at every moment: after so many steps of it, and some time after the last,
/// when the database may have answered and nobody has looked.
pub(crate) async fn a_cancelled_begin_leaves_no_transaction_open(fixture: &Fixture) -> Result<()> {
    let (store, org) = (fixture.open().await?, org());
    for round in 0..100 {
        // One step last: a begin that comes to its end would clean up after those before it.
        let pause = Duration::from_micros(50 * u64::from(round / 5));
        give_up(store.begin(org), 5 - round % 5, pause).await;
    }
    if store.kind() == StoreKind::Postgres {
        wait_until(
            SOON,
            "no connection to be inside a transaction",
            async || {
                let sql =
                    "SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
                Ok(store
                    .read_shared()
                    .await?
                    .query(sql, vec![])
                    .await?
                    .is_empty())
            },
        )
        .await?;
    }
    for id in 0..20 {
        let tx = store.begin(org).await?;
        add(&tx, id).await?;
        tx.commit().await?;
    }
    // Read over other connections, and from the file, not in a transaction somebody left behind.
    store.close().await;
    let store = fixture.open().await?;
    ensure!(stored(&store, org).await?.len() == 20);
    Ok(())
}

/// Takes so many steps of a future, with a pause after each, and drops it.
async fn give_up(future: impl Future, steps: u32, pause: Duration) {
    let mut future = std::pin::pin!(future);
    for _ in 0..steps {
        let ready = poll_once(future.as_mut()).await;
        let _ = tokio::time::timeout(pause, std::future::pending::<()>()).await;
        if ready {
            return;
        }
    }
}

/// Takes one step; whether it was the last.
async fn poll_once(mut future: std::pin::Pin<&mut impl Future>) -> bool {
    let step = |context: &mut Context<'_>| Poll::Ready(future.as_mut().poll(context).is_ready());
    std::future::poll_fn(step).await
}

pub(crate) async fn statements_must_bind_their_organisation(fixture: &Fixture) -> Result<()> {
    let (store, ours, theirs) = (fixture.open().await?, org(), org());
    let tx = store.begin(ours).await?;
    add(&tx, 1).await?;
    let everything = tx.query("SELECT id FROM note", vec![]).await;
    ensure!(matches!(everything, Err(StoreError::NotTenants { .. })));
    let sql = "DELETE FROM note WHERE org_id = $1";
    let deleted = tx.execute(sql, vec![text(theirs)]).await;
    ensure!(matches!(deleted, Err(StoreError::NotTenants { .. })));
    let rows = vec![text(theirs), Value::from(1_i64)];
    let smuggled = tx
        .execute_rows("INSERT INTO note (org_id, id) VALUES", "", 2, rows)
        .await;
    ensure!(matches!(smuggled, Err(StoreError::NotTenants { .. })));
    tx.commit().await?;
    ensure!(stored(&store, theirs).await?.is_empty());
    ensure!(stored(&store, ours).await? == [1]);
    Ok(())
}

pub(crate) async fn one_commit_holds_many_organisations(fixture: &Fixture) -> Result<()> {
    let (store, one, two) = (fixture.open().await?, org(), org());
    let tx = store.begin_shared().await?;
    for org in [one, two] {
        let tenant = tx.tenant(org);
        let rows = vec![text(org), Value::from(7_i64)];
        tenant
            .execute_rows("INSERT INTO note (org_id, id) VALUES", "", 2, rows)
            .await?;
        let other = if org == one { two } else { one };
        let looked = tenant
            .query("SELECT id FROM note WHERE org_id = $1", vec![text(other)])
            .await;
        ensure!(matches!(looked, Err(StoreError::NotTenants { .. })));
    }
    tx.execute(
        "INSERT INTO counter (n) VALUES ($1)",
        vec![Value::from(2_i64)],
    )
    .await?;
    ensure!(
        stored(&store, one).await?.is_empty(),
        "seen before the commit"
    );
    tx.commit().await?;
    ensure!(stored(&store, one).await? == [7] && stored(&store, two).await? == [7]);
    let tx = store.read_shared().await?;
    ensure!(tx.query("SELECT n FROM counter", vec![]).await?.len() == 1);
    Ok(())
}

pub(crate) async fn a_read_transaction_sees_one_state_and_cannot_write(
    fixture: &Fixture,
) -> Result<()> {
    let (store, org) = (fixture.open().await?, org());
    let reading = store.read(org).await?;
    ensure!(ids(&reading).await?.is_empty());
    let writing = store.begin(org).await?;
    add(&writing, 1).await?;
    writing.commit().await?;
    ensure!(
        ids(&reading).await?.is_empty(),
        "the state changed under a reader"
    );
    ensure!(add(&reading, 2).await.is_err(), "a reader wrote");
    drop(reading);
    ensure!(stored(&store, org).await? == [1]);
    Ok(())
}

pub(crate) async fn writers_do_not_lose_each_others_updates(fixture: &Fixture) -> Result<()> {
    let store = fixture.open().await?;
    let tx = store.begin_shared().await?;
    tx.execute("INSERT INTO counter (n) VALUES (0)", vec![])
        .await?;
    tx.commit().await?;
    let mut writers: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        writers.spawn(async move {
            let tx = store.begin_shared().await?;
            tx.execute("UPDATE counter SET n = n + 1", vec![]).await?;
            Ok(tx.commit().await?)
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let rows = store
        .read_shared()
        .await?
        .query("SELECT n FROM counter", vec![])
        .await?;
    let n: Option<i64> = rows.first().map(|row| row.get("n")).transpose()?;
    ensure!(n == Some(50), "{n:?}");
    Ok(())
}

pub(crate) async fn many_rows_go_in_few_statements(fixture: &Fixture) -> Result<()> {
    let (store, org) = (fixture.open().await?, org());
    let before = "INSERT INTO note (org_id, id, body) VALUES";
    let rows = |range: std::ops::Range<i64>| {
        range
            .flat_map(|id| [text(org), Value::from(id), Value::from("x")])
            .collect()
    };
    let tx = store.begin(org).await?;
    // More values than either database can bind in one statement.
    ensure!(tx.execute_rows(before, "", 3, rows(0..25_000)).await? == 25_000);
    let again = "ON CONFLICT (org_id, id) DO NOTHING";
    ensure!(
        tx.execute_rows(before, again, 3, rows(24_990..25_010))
            .await?
            == 10
    );
    let ragged = tx.execute_rows(before, "", 3, vec![text(org)]).await;
    ensure!(matches!(
        ragged,
        Err(StoreError::Ragged {
            values: 1,
            columns: 3
        })
    ));
    tx.commit().await?;
    ensure!(stored(&store, org).await?.len() == 25_010);
    Ok(())
}

pub(crate) async fn errors_say_what_helps(fixture: &Fixture) -> Result<()> {
    let (store, org) = (fixture.open().await?, org());
    let tx = store.begin(org).await?;
    add(&tx, 1).await?;
    let rows = tx
        .query(
            "SELECT id, body FROM note WHERE org_id = $1",
            vec![text(org)],
        )
        .await?;
    for row in &rows {
        let missing = row.get::<i64>("no_such_column");
        ensure!(
            matches!(missing, Err(StoreError::Column { column, .. }) if column == "no_such_column")
        );
        ensure!(row.get::<Option<String>>("body")? == Some("hello".to_owned()));
    }
    let twice = add(&tx, 1).await.err();
    ensure!(
        matches!(&twice, Some(StoreError::Constraint(_))),
        "{twice:?}"
    );
    ensure!(twice.is_some_and(|error| !error.is_transient()));
    drop(tx);
    let tx = store.begin(org).await?;
    let sql = "SELECT 1 FROM no_such_table WHERE org_id = $1";
    let refused = tx.query(sql, vec![text(org)]).await.err();
    ensure!(
        matches!(&refused, Some(StoreError::Refused(_))),
        "{refused:?}"
    );
    drop(tx);
    if store.kind() == StoreKind::Sqlite {
        a_full_disk_is_named(&store, org).await?;
    }
    Ok(())
}

async fn a_full_disk_is_named(store: &Store, org: OrgId) -> Result<()> {
    let tx = store.begin_shared().await?;
    // No more pages than there are now: to the writer, the disk is full.
    tx.query("PRAGMA max_page_count = 1", vec![]).await?;
    let tenant = tx.tenant(org);
    let large = vec![
        text(org),
        Value::from(9_i64),
        Value::from("x".repeat(1_000_000)),
    ];
    let sql = "INSERT INTO note (org_id, id, body) VALUES ($1, $2, $3)";
    let full = tenant.execute(sql, large).await.err();
    ensure!(matches!(&full, Some(StoreError::DiskFull(_))), "{full:?}");
    ensure!(
        full.is_some_and(|error| error.is_transient() && error.to_string().contains("make room"))
    );
    Ok(())
}

pub(crate) async fn a_closed_store_says_so(fixture: &Fixture) -> Result<()> {
    let store = fixture.open().await?;
    store.close().await;
    let begun = store.begin(org()).await.err();
    ensure!(matches!(&begun, Some(StoreError::Closed)), "{begun:?}");
    Ok(())
}

#[tokio::test]
async fn memory_is_a_database_too() -> Result<()> {
    let store = Store::open(&"sqlite::memory:".parse()?, "memory", NOTES).await?;
    let org = org();
    let tx = store.begin(org).await?;
    add(&tx, 1).await?;
    tx.commit().await?;
    ensure!(stored(&store, org).await? == [1]);
    Ok(())
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let url = format!("sqlite:{}/below", file.path().display());
    let error = Store::open(&url.parse()?, "nowhere", NOTES).await.err();
    ensure!(
        matches!(&error, Some(StoreError::Folder { .. })),
        "{error:?}"
    );
    Ok(())
}
