//! Statements that share a way to the database.

use anyhow::{Result, ensure};
use nexus_store::{StoreError, TenantTx, Value};

use crate::fixture::{Fixture, org};
use crate::transactions::{add, ids, stored, text};

async fn add_later(tx: &TenantTx, id: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO note (org_id, id) VALUES ($1, $2)";
    let tenant = tx.as_ref();
    tenant
        .later(sql, vec![text(tx.org()), Value::from(id)])
        .await
}

/// What nobody waits for is there for whoever asks next, and gone with the transaction.
pub(crate) async fn what_waits_goes_with_the_next_statement_or_the_commit(
    fixture: &Fixture,
) -> Result<()> {
    let (store, org) = (fixture.open().await?, org());
    let tx = store.begin(org).await?;
    add_later(&tx, 1).await?;
    ensure!(ids(&tx).await? == [1]);
    add_later(&tx, 2).await?;
    drop(tx);
    ensure!(stored(&store, org).await?.is_empty());
    let tx = store.begin(org).await?;
    add_later(&tx, 3).await?;
    add_later(&tx, 4).await?;
    tx.commit().await?;
    ensure!(stored(&store, org).await? == [3, 4]);
    // What fails is heard of by the commit, and takes the rest with it.
    let tx = store.begin(org).await?;
    add_later(&tx, 5).await?;
    add_later(&tx, 4).await?;
    add_later(&tx, 6).await?;
    let refused = tx.commit().await.err();
    ensure!(
        matches!(&refused, Some(StoreError::Constraint(_))),
        "{refused:?}"
    );
    ensure!(stored(&store, org).await? == [3, 4]);
    let tx = store.begin(org).await?;
    let foreign = "INSERT INTO note (org_id, id) VALUES ($1, 7)";
    let smuggled = tx.as_ref().later(foreign, vec![text(self::org())]).await;
    ensure!(matches!(smuggled, Err(StoreError::NotTenants { .. })));
    Ok(())
}

pub(crate) async fn whoever_was_overtaken_commits_nothing(fixture: &Fixture) -> Result<()> {
    let (store, org) = (fixture.open().await?, org());
    let tx = store.begin(org).await?;
    add(&tx, 1).await?;
    tx.commit().await?;
    let insert = "INSERT INTO note (org_id, id, body) VALUES";
    let unless_changed = "ON CONFLICT (org_id, id) DO UPDATE SET body = excluded.body \
                          WHERE note.body = 'as it was'";
    // More than one statement's worth of rows, one of which is there and has changed.
    let rows = |ids: std::ops::Range<i64>| {
        ids.flat_map(|id| [text(org), Value::from(id), Value::from("new")])
            .collect::<Vec<_>>()
    };
    let tx = store.begin(org).await?;
    let tenant = tx.as_ref();
    tenant
        .later_all_rows(insert, unless_changed, 3, rows(1..100))
        .await?;
    let overtaken = tx.commit().await.err();
    let expected = StoreError::Overtaken {
        expected: 99,
        changed: 98,
    };
    ensure!(
        overtaken.as_ref().map(ToString::to_string) == Some(expected.to_string()),
        "{overtaken:?}"
    );
    ensure!(stored(&store, org).await? == [1]);
    // What comes behind fails too, for the same reason, and is not what is told.
    let tx = store.begin(org).await?;
    tx.as_ref()
        .later_all_rows(insert, unless_changed, 3, rows(1..2))
        .await?;
    add_later(&tx, 1).await?;
    let overtaken = tx.commit().await.err();
    ensure!(
        matches!(overtaken, Some(StoreError::Overtaken { .. })),
        "{overtaken:?}"
    );
    let tx = store.begin(org).await?;
    tx.as_ref()
        .later_all_rows(insert, unless_changed, 3, rows(2..100))
        .await?;
    tx.commit().await?;
    ensure!(stored(&store, org).await?.len() == 99);
    Ok(())
}

/// Several questions on one way: each gets its own rows.
pub(crate) async fn questions_asked_together_are_answered_apart(fixture: &Fixture) -> Result<()> {
    let (store, org) = (fixture.open().await?, org());
    let tx = store.begin(org).await?;
    for id in 1..=3 {
        add(&tx, id).await?;
    }
    let ask = |least: i64| {
        let sql = "SELECT id FROM note WHERE org_id = $1 AND id >= $2 ORDER BY id";
        (sql.to_owned(), vec![text(org), Value::from(least)])
    };
    let answers = tx.as_ref().query_all(vec![ask(2), ask(9), ask(3)]).await?;
    let counts: Vec<usize> = answers.iter().map(Vec::len).collect();
    ensure!(counts == [2, 0, 1], "{counts:?}");
    ensure!(tx.as_ref().query_all(Vec::new()).await?.is_empty());
    Ok(())
}
