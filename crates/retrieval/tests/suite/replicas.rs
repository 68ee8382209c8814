//! Many that serve the same organisations.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use nexus_contracts::OrgId;
use nexus_retrieval::{Embedder, Limits, Retrieval, Viewer};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::task::JoinSet;

use crate::embedders::Thesaurus;
use crate::fixture::{Fixture, at, note, org, search, shared, titles};

pub(crate) async fn what_one_writes_the_other_finds(fixture: &Fixture) -> Result<()> {
    let (one, two, org) = (fixture.plain().await?, fixture.plain().await?, org());
    let id = one.ingest(org, note("a", "the red fox"), at(0)).await?.id;
    ensure!(titles(&two, shared(org), "fox").await? == ["a"]);
    two.ingest(org, note("a", "the blue whale"), at(1)).await?;
    two.ingest(org, note("b", "a red fox"), at(1)).await?;
    ensure!(titles(&one, shared(org), "fox").await? == ["b"]);
    one.delete(shared(org), id).await?;
    ensure!(titles(&two, shared(org), "whale").await?.is_empty());
    ensure!(titles(&two, shared(org), "fox").await? == ["b"]);
    Ok(())
}

pub(crate) async fn many_that_write_at_once_lose_nothing(fixture: &Fixture) -> Result<()> {
    let limits = Limits {
        documents_per_org: 12,
        ..Limits::default()
    };
    let replicas = [
        fixture.open(limits.clone(), None, None).await?,
        fixture.open(limits, None, None).await?,
    ];
    let (org, mut work) = (org(), JoinSet::new());
    for number in 0..16 {
        let retrieval = replicas[number % 2].clone();
        work.spawn(async move {
            // Each twice: by one and by the other.
            let ingest = note(&format!("n{}", number / 2), "the red fox");
            let ingested = retrieval.ingest(org, ingest, at(0)).await;
            search(&retrieval, shared(org), "fox").await?;
            ingested.map_err(anyhow::Error::from)
        });
    }
    let mut added = 0;
    while let Some(done) = work.join_next().await {
        added += usize::from(done??.outcome == nexus_retrieval::Outcome::Added);
    }
    ensure!(added == 8, "{added} were added");
    for retrieval in &replicas {
        ensure!(titles(retrieval, shared(org), "fox").await?.len() == 8);
    }
    Ok(())
}

pub(crate) async fn indexes_that_do_not_fit_are_loaded_again(fixture: &Fixture) -> Result<()> {
    let limits = Limits {
        index_bytes: 1,
        ..Limits::default()
    };
    let retrieval = fixture.open(limits, None, None).await?;
    let orgs = [org(), org(), org()];
    for (number, org) in orgs.iter().enumerate() {
        let ingest = note(&format!("n{number}"), "the red fox");
        retrieval.ingest(*org, ingest, at(0)).await?;
    }
    for _ in 0..2 {
        for (number, org) in orgs.iter().enumerate() {
            let found = titles(&retrieval, shared(*org), "fox").await?;
            ensure!(found == [format!("n{number}")], "{found:?}");
        }
    }
    Ok(())
}

const TEXTS: [&str; 5] = [
    "the red fox",
    "a cat and a dog",
    "the dog, the fox. the dog",
    "green green lawn",
    "a feline on the lawn\n\nand a canine below",
];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// By which replica, in which organisation, which source, which text.
    Ingest(usize, usize, u8, usize),
    Delete(usize, usize, u8),
    Search(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (replica, org, source) = (0..2_usize, 0..2_usize, 0..4_u8);
    let place = (replica, org, source);
    let step = prop_oneof![
        3 => (place.clone(), 0..TEXTS.len())
            .prop_map(|((replica, org, source), text)| Step::Ingest(replica, org, source, text)),
        1 => place.clone().prop_map(|(replica, org, source)| Step::Delete(replica, org, source)),
        1 => place.prop_map(|(replica, org, _)| Step::Search(replica, org)),
    ];
    prop::collection::vec(step, 1..25)
}

/// After anything at all, what is found is what an index built anew finds, by words and by vectors,
/// and nothing of it is another organisation's.
#[test]
fn an_index_that_followed_is_one_built_anew() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let config = Config {
        cases: 24,
        ..Config::default()
    };
    let run = TestRunner::new(config).run(&steps(), |steps| {
        let followed = runtime.block_on(follow(&steps));
        followed.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    Ok(run?)
}

async fn open(fixture: &Fixture) -> Result<Retrieval> {
    let embedder: Arc<dyn Embedder> = Arc::new(Thesaurus::of_animals());
    fixture.open(Limits::default(), Some(embedder), None).await
}

async fn follow(steps: &[Step]) -> Result<()> {
    let fixture = Fixture::sqlite()?;
    let replicas = [open(&fixture).await?, open(&fixture).await?];
    let orgs = [org(), org()];
    let mut truth: BTreeMap<(usize, String), &str> = BTreeMap::new();
    for step in steps {
        match *step {
            Step::Ingest(replica, org, source, text) => {
                let title = format!("{org}-{source}");
                let ingest = note(&title, TEXTS[text]);
                replicas[replica].ingest(orgs[org], ingest, at(0)).await?;
                truth.insert((org, title), TEXTS[text]);
            }
            Step::Delete(replica, org, source) => {
                let title = format!("{org}-{source}");
                let id = nexus_retrieval::DocumentId::of(orgs[org], None, "notes", &title);
                let deleted = replicas[replica].delete(shared(orgs[org]), id).await?.count;
                let was_there = truth.remove(&(org, title)).is_some();
                ensure!(deleted == usize::from(was_there));
            }
            Step::Search(replica, org) => {
                search(&replicas[replica], shared(orgs[org]), "dog").await?;
            }
        }
    }
    for (number, org) in orgs.into_iter().enumerate() {
        compare(&fixture, &replicas, (number, org), &truth).await?;
    }
    Ok(())
}

async fn compare(
    fixture: &Fixture,
    replicas: &[Retrieval; 2],
    (number, org): (usize, OrgId),
    truth: &BTreeMap<(usize, String), &str>,
) -> Result<()> {
    let (anew, viewer) = (open(fixture).await?, Viewer { org, user: None });
    for query in ["fox", "canine", "lawn feline", "the", "0-1 1-1"] {
        let expected = search(&anew, viewer, query).await?;
        for replica in replicas {
            let found = search(replica, viewer, query).await?;
            ensure!(found == expected, "{query}: {found:?} and not {expected:?}");
        }
        for hit in expected.hits {
            let text = truth.get(&(number, hit.title.clone()));
            let part = text.and_then(|text| text.get(hit.range.clone()));
            ensure!(part == Some(&hit.text), "{hit:?}");
        }
    }
    let with_fox = truth
        .iter()
        .filter(|((org, _), text)| *org == number && text.contains("fox"));
    let found = search(&anew, viewer, "fox").await?;
    let by_word = found.hits.iter().filter(|hit| hit.bm25.is_some()).count();
    ensure!(by_word == with_fox.count(), "{found:?}");
    Ok(())
}
