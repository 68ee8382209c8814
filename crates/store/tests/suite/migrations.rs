//! Migrations: applied once, in order, never changed.

use anyhow::{Result, ensure};
use nexus_store::{Migration, Store, StoreError};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, NOTE, NOTES, SERVICE, org};

const fn step(version: u32, name: &'static str, sql: &'static str) -> Migration {
    Migration {
        version,
        name,
        sqlite: sql,
        postgres: sql,
    }
}

const ONE: &[Migration] = &[step(1, "one", "CREATE TABLE one (n BIGINT)")];
const TWO: &[Migration] = &[
    step(1, "one", "CREATE TABLE one (n BIGINT)"),
    step(2, "two", "CREATE TABLE two (n BIGINT)"),
];
const CHANGED: &[Migration] = &[step(1, "one", "CREATE TABLE one (n BIGINT, m BIGINT)")];
const FAILING: &[Migration] = &[
    step(1, "one", "CREATE TABLE one (n BIGINT)"),
    step(
        2,
        "two",
        "CREATE TABLE two (n BIGINT); CREATE TABLE two (n BIGINT)",
    ),
];
const GAP: &[Migration] = &[
    step(1, "one", "CREATE TABLE one (n BIGINT)"),
    step(3, "three", ""),
];

async fn open(fixture: &Fixture, migrations: &'static [Migration]) -> Result<Store> {
    Ok(Store::open(&fixture.config()?, SERVICE, migrations).await?)
}

async fn refusal(fixture: &Fixture, migrations: &'static [Migration]) -> Result<StoreError> {
    let opened = Store::open(&fixture.config()?, SERVICE, migrations).await;
    opened.err().ok_or_else(|| anyhow::anyhow!("opened"))
}

async fn has(store: &Store, table: &str) -> Result<bool> {
    let tx = store.read_shared().await?;
    Ok(tx
        .query(&format!("SELECT n FROM {table}"), vec![])
        .await
        .is_ok())
}

pub(crate) async fn opening_again_changes_nothing(fixture: &Fixture) -> Result<()> {
    open(fixture, ONE).await?.close().await;
    let store = open(fixture, ONE).await?;
    ensure!(has(&store, "one").await? && !has(&store, "two").await?);
    // Another set has numbers of its own.
    store.migrate("notes", NOTES).await?;
    store.migrate("notes", NOTES).await?;
    ensure!(has(&store, "counter").await?);
    Ok(())
}

pub(crate) async fn new_migrations_are_added_to_old_ones(fixture: &Fixture) -> Result<()> {
    open(fixture, ONE).await?;
    let store = open(fixture, TWO).await?;
    ensure!(has(&store, "one").await? && has(&store, "two").await?);
    Ok(())
}

pub(crate) async fn a_changed_migration_is_refused(fixture: &Fixture) -> Result<()> {
    open(fixture, ONE).await?;
    let error = refusal(fixture, CHANGED).await?;
    ensure!(
        matches!(
            error,
            StoreError::Drifted {
                version: 1,
                name: "one",
                ..
            }
        ),
        "{error}"
    );
    ensure!(
        !error.is_transient() && error.to_string().contains("add a new one"),
        "{error}"
    );
    Ok(())
}

pub(crate) async fn a_newer_database_is_refused(fixture: &Fixture) -> Result<()> {
    open(fixture, TWO).await?;
    let error = refusal(fixture, ONE).await?;
    ensure!(
        matches!(
            error,
            StoreError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    ensure!(
        error.to_string().contains("run the newer program"),
        "{error}"
    );
    Ok(())
}

pub(crate) async fn a_failing_migration_leaves_nothing(fixture: &Fixture) -> Result<()> {
    let error = refusal(fixture, FAILING).await?;
    ensure!(
        matches!(error, StoreError::Migration { version: 2, .. }),
        "{error}"
    );
    let store = open(fixture, ONE).await?;
    ensure!(has(&store, "one").await? && !has(&store, "two").await?);
    Ok(())
}

pub(crate) async fn replicas_may_open_at_once(fixture: &Fixture) -> Result<()> {
    let mut replicas = JoinSet::new();
    for _ in 0..6 {
        let url = fixture.config()?;
        replicas.spawn(async move { Store::open(&url, SERVICE, TWO).await });
    }
    while let Some(opened) = replicas.join_next().await {
        ensure!(has(&opened??, "two").await?);
    }
    Ok(())
}

pub(crate) async fn numbers_must_follow_each_other(fixture: &Fixture) -> Result<()> {
    let error = refusal(fixture, GAP).await?;
    ensure!(
        matches!(error, StoreError::Misnumbered { version: 3, .. }),
        "{error}"
    );
    Ok(())
}

/// Also on `PostgreSQL`, where what is protected is hidden from its owner too.
pub(crate) async fn a_migration_sees_the_rows_of_every_organisation(
    fixture: &Fixture,
) -> Result<()> {
    const COPIED: &[Migration] = &[
        NOTE,
        step(
            2,
            "copies",
            "CREATE TABLE copy (org_id TEXT NOT NULL, id BIGINT NOT NULL);
             INSERT INTO copy SELECT org_id, id FROM note; UPDATE note SET body = 'copied'",
        ),
    ];
    let (one, two) = (org(), org());
    let store = open(fixture, NOTES).await?;
    for org in [one, two] {
        let tx = store.begin(org).await?;
        let sql = "INSERT INTO note (org_id, id) VALUES ($1, 7)";
        tx.execute(sql, vec![org.to_string().into()]).await?;
        tx.commit().await?;
    }
    store.close().await;
    let store = open(fixture, COPIED).await?;
    for org in [one, two] {
        let tx = store.read(org).await?;
        let sql = "SELECT note.body FROM note JOIN copy ON copy.org_id = note.org_id \
                   AND copy.id = note.id WHERE note.org_id = $1";
        let rows = tx.query(sql, vec![org.to_string().into()]).await?;
        ensure!(rows.len() == 1);
        for row in rows {
            ensure!(row.get::<String>("body")? == "copied");
        }
    }
    Ok(())
}
