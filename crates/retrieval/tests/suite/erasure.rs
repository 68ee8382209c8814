//! Deleting really deletes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_retrieval::{Embedder, Ingest, Limits, Page};
use nexus_store::Value;
use nexus_testkit::wait_until;

use crate::embedders::Thesaurus;
use crate::fixture::{Fixture, at, note, org, remember, seen_by, shared, titles, user};

const CANARY: &str = "xylocanaryphone";
const SOON: Duration = Duration::from_secs(10);

/// How often the canary stands in the files of `SQLite`.
fn in_files(fixture: &Fixture) -> Result<Option<usize>> {
    let Some(folder) = fixture.address.strip_prefix("sqlite:") else {
        return Ok(None);
    };
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let bytes = std::fs::read(entry?.path())?;
        let windows = bytes.windows(CANARY.len());
        count += windows.filter(|part| *part == CANARY.as_bytes()).count();
    }
    Ok(Some(count))
}

/// While the store stays open: written back without being closed.
async fn none_is_left(fixture: &Fixture) -> Result<()> {
    wait_until(SOON, "the files to be free of it", async || {
        Ok(in_files(fixture)?.unwrap_or_default() == 0)
    })
    .await
}

pub(crate) async fn no_byte_of_what_was_deleted_is_left(fixture: &Fixture) -> Result<()> {
    let (retrieval, org, ada) = (fixture.plain().await?, org(), user());
    let memory = retrieval.memory();
    // Longer than a page, so that whole pages become free.
    let long = format!("{CANARY} and more. ").repeat(2_000);
    let canary = Ingest {
        title: format!("{CANARY} title"),
        source: format!("https://example.com/{CANARY}"),
        ..note("", &long)
    };
    retrieval
        .ingest(org, note("other", "the red fox"), at(0))
        .await?;
    let id = retrieval.ingest(org, canary, at(0)).await?.id;
    ensure!(in_files(fixture)? != Some(0), "it was never there");
    ensure!(titles(&retrieval, shared(org), CANARY).await?.len() == 10);
    ensure!(retrieval.delete(shared(org), id).await?.count == 1);
    ensure!(titles(&retrieval, shared(org), CANARY).await?.is_empty());
    none_is_left(fixture).await?;
    // A version that was replaced, and a memory.
    retrieval.ingest(org, note("page", &long), at(1)).await?;
    ensure!(in_files(fixture)? != Some(0), "it was never there");
    retrieval
        .ingest(org, note("page", "the blue whale"), at(2))
        .await?;
    none_is_left(fixture).await?;
    let id = memory.remember(org, ada, remember(CANARY), at(3)).await?.id;
    ensure!(in_files(fixture)? != Some(0), "it was never there");
    ensure!(memory.forget(org, ada, id).await?.count == 1);
    none_is_left(fixture).await?;
    ensure!(titles(&retrieval, shared(org), "fox whale").await?.len() == 2);
    Ok(())
}

/// Rows that are left of an organisation, of all tables but the one with its numbers.
async fn rows(fixture: &Fixture, org: nexus_contracts::OrgId) -> Result<i64> {
    let store = fixture.store().await?;
    let tx = store.read(org).await?;
    let mut count = 0;
    for table in ["document", "chunk", "pending", "space"] {
        let sql = format!("SELECT COUNT(*) AS n FROM retrieval_{table} WHERE org_id = $1");
        let rows = tx.query(&sql, vec![Value::from(org.to_string())]).await?;
        count += rows.first().map_or(Ok(0), |row| row.get::<i64>("n"))?;
    }
    drop(tx);
    store.close().await;
    Ok(count)
}

pub(crate) async fn a_person_is_erased_whole(fixture: &Fixture) -> Result<()> {
    let embedder: Arc<dyn Embedder> = Arc::new(Thesaurus::of_animals());
    let retrieval = fixture
        .open(Limits::default(), Some(embedder), None)
        .await?;
    let (org, ada, bob) = (org(), user(), user());
    for person in [ada, bob] {
        let own = Ingest {
            owner: Some(person),
            ..note("own", "a cat sleeps")
        };
        retrieval.ingest(org, own, at(0)).await?;
        retrieval
            .memory()
            .remember(org, person, remember("has a cat"), at(0))
            .await?;
    }
    ensure!(titles(&retrieval, seen_by(org, ada), "feline").await?.len() == 1);
    ensure!(retrieval.erase_user(org, ada).await?.count == 2);
    ensure!(
        titles(&retrieval, seen_by(org, ada), "feline cat")
            .await?
            .is_empty()
    );
    ensure!(
        retrieval
            .memory()
            .list(org, ada, Page::default())
            .await?
            .is_empty()
    );
    ensure!(titles(&retrieval, seen_by(org, bob), "feline").await?.len() == 1);
    ensure!(
        rows(fixture, org).await? == 4,
        "a document and a chunk of each"
    );
    Ok(())
}

pub(crate) async fn an_organisation_is_erased_whole(fixture: &Fixture) -> Result<()> {
    let (retrieval, ours, theirs) = (fixture.plain().await?, org(), org());
    for org in [ours, theirs] {
        retrieval
            .ingest(org, note("a", "the red fox"), at(0))
            .await?;
        retrieval
            .ingest(org, note("b", "the fox is blue"), at(0))
            .await?;
        retrieval
            .memory()
            .remember(org, user(), remember("likes foxes"), at(0))
            .await?;
        ensure!(titles(&retrieval, shared(org), "fox").await?.len() == 2);
    }
    ensure!(retrieval.erase_org(ours).await?.count == 3);
    ensure!(rows(fixture, ours).await? == 0 && rows(fixture, theirs).await? == 6);
    ensure!(titles(&retrieval, shared(ours), "fox").await?.is_empty());
    // And it may begin anew.
    retrieval
        .ingest(ours, note("a", "the red fox"), at(1))
        .await?;
    ensure!(titles(&retrieval, shared(ours), "fox").await? == ["a"]);
    Ok(())
}
