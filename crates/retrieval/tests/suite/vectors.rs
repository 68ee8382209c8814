//! Finding by meaning, and saying so when that is not possible.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use nexus_retrieval::{Embedder, Limits, Mode, Page, Retrieval};

use crate::embedders::Thesaurus;
use crate::fixture::{Fixture, at, note, org, search, shared, titles};

async fn with(fixture: &Fixture, embedder: &Arc<Thesaurus>) -> Result<Retrieval> {
    let limits = Limits {
        embed_batch: 2,
        ..Limits::default()
    };
    let embedder: Arc<dyn Embedder> = Arc::<Thesaurus>::clone(embedder);
    fixture.open(limits, Some(embedder), None).await
}

pub(crate) async fn without_an_embedder_it_says_so(fixture: &Fixture) -> Result<()> {
    let (retrieval, org) = (fixture.plain().await?, org());
    let ingested = retrieval
        .ingest(org, note("a", "a cat sleeps"), at(0))
        .await?;
    ensure!(ingested.not_embedded.as_deref() == Some("no embedder is configured"));
    let found = search(&retrieval, shared(org), "cat").await?;
    ensure!(found.mode == Mode::Bm25 && found.hits.len() == 1);
    ensure!(
        found.reason.as_deref() == Some("no embedder is configured"),
        "{found:?}"
    );
    ensure!(retrieval.backfill(org, 10).await?.reason == found.reason);
    Ok(())
}

pub(crate) async fn an_embedder_that_fails_costs_nothing_but_meaning(
    fixture: &Fixture,
) -> Result<()> {
    let (embedder, org) = (Arc::new(Thesaurus::of_animals()), org());
    let retrieval = with(fixture, &embedder).await?;
    embedder.fall_asleep();
    let ingested = retrieval
        .ingest(org, note("a", "a cat sleeps"), at(0))
        .await?;
    ensure!(
        ingested
            .not_embedded
            .is_some_and(|reason| reason.contains("asleep"))
    );
    let reason = retrieval.backfill(org, 10).await?.reason;
    ensure!(reason.is_some_and(|reason| reason.contains("asleep")));
    embedder.wake();
    ensure!(titles(&retrieval, shared(org), "feline").await?.is_empty());
    let filled = retrieval.backfill(org, 10).await?;
    ensure!((filled.embedded, filled.left) == (1, 0), "{filled:?}");
    let found = search(&retrieval, shared(org), "feline").await?;
    ensure!(
        found.mode == Mode::Hybrid && found.reason.is_none(),
        "{found:?}"
    );
    let hit = found.hits.first().context("a hit")?;
    ensure!(
        hit.bm25.is_none() && hit.cosine.is_some_and(|cosine| cosine > 0.8),
        "{hit:?}"
    );
    let listed = retrieval
        .documents(shared(org), None, Page::default())
        .await?;
    ensure!(listed[0].embedded == 1);
    embedder.fall_asleep();
    let found = search(&retrieval, shared(org), "cat").await?;
    ensure!(found.mode == Mode::Bm25 && found.hits.len() == 1);
    ensure!(found.reason.is_some_and(|reason| reason.contains("asleep")));
    Ok(())
}

pub(crate) async fn vectors_of_another_model_are_never_compared(fixture: &Fixture) -> Result<()> {
    let (embedder, org) = (Arc::new(Thesaurus::of_animals()), org());
    let retrieval = with(fixture, &embedder).await?;
    for (title, text) in [("cat", "a cat sleeps"), ("dog", "a dog barks")] {
        ensure!(
            retrieval
                .ingest(org, note(title, text), at(0))
                .await?
                .not_embedded
                .is_none()
        );
    }
    ensure!(titles(&retrieval, shared(org), "canine").await?[0] == "dog");
    embedder.become_model("thesaurus-2");
    let found = search(&retrieval, shared(org), "canine").await?;
    ensure!(
        found.mode == Mode::Bm25 && found.hits.is_empty(),
        "{found:?}"
    );
    ensure!(
        found
            .reason
            .is_some_and(|reason| reason.contains("thesaurus-2"))
    );
    let filled = retrieval.backfill(org, 1).await?;
    ensure!((filled.embedded, filled.left) == (1, 1), "{filled:?}");
    let found = search(&retrieval, shared(org), "canine feline").await?;
    ensure!(
        found.mode == Mode::Hybrid && found.hits.len() == 1,
        "{found:?}"
    );
    let reason = found.reason.context("a reason")?;
    ensure!(
        reason.starts_with("1 of 2 chunks have a vector of another model than thesaurus-2"),
        "{reason}"
    );
    ensure!(retrieval.backfill(org, 10).await?.left == 0);
    let found = search(&retrieval, shared(org), "canine feline").await?;
    ensure!(found.hits.len() == 2 && found.reason.is_none(), "{found:?}");
    Ok(())
}

pub(crate) async fn vectors_that_cannot_be_used_are_not(fixture: &Fixture) -> Result<()> {
    let (embedder, org) = (Arc::new(Thesaurus::of_animals()), org());
    let retrieval = with(fixture, &embedder).await?;
    embedder.give_too_little();
    let ingested = retrieval
        .ingest(org, note("a", "a cat sleeps"), at(0))
        .await?;
    let reason = ingested.not_embedded.context("a reason")?;
    ensure!(reason.contains("255 numbers of 256"), "{reason}");
    ensure!(search(&retrieval, shared(org), "cat").await?.mode == Mode::Bm25);
    Ok(())
}

pub(crate) async fn backfill_keeps_to_its_budget(fixture: &Fixture) -> Result<()> {
    let (embedder, org) = (Arc::new(Thesaurus::of_animals()), org());
    let retrieval = with(fixture, &embedder).await?;
    embedder.fall_asleep();
    for number in 0..7 {
        let ingest = note(&format!("{number}"), "a cat sleeps");
        retrieval.ingest(org, ingest, at(0)).await?;
    }
    embedder.wake();
    for (budget, left) in [(0, 7), (3, 4), (3, 1), (3, 0), (3, 0)] {
        let before = embedder.texts();
        let filled = retrieval.backfill(org, budget).await?;
        ensure!(filled.left == left, "{filled:?}");
        // One more where the model has to be found out.
        ensure!(embedder.texts() - before <= budget + 1);
    }
    ensure!(titles(&retrieval, shared(org), "feline").await?.len() == 7);
    Ok(())
}
