//! Another database of vectors is rid of old models, and of nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use nexus_contracts::OrgId;
use nexus_contracts::settings::Privacy::{LocalOnly, Open};
use nexus_retrieval::{
    DocumentId, Embedder, Entry, Ingest, Limits, Near, Retrieval, Scope, Space, VectorError,
    VectorIndex,
};
use parking_lot::Mutex;

use crate::embedders::Thesaurus;
use crate::fixture::{Fixture, at, note, org, search, shared};
use crate::privacy::private;

/// The vectors of an organisation in a space, by their documents.
type Kept = BTreeMap<(OrgId, Space), BTreeMap<DocumentId, Vec<Entry>>>;

/// Holds vectors as a server would, without one.
#[derive(Default)]
struct Shelf {
    kept: Mutex<Kept>,
    /// What somebody else keeps while a space is being dropped.
    meanwhile: Mutex<Option<(Retrieval, Ingest)>>,
    /// Whether it drops the next space, but is not heard to have.
    fails: Mutex<bool>,
}

impl Shelf {
    fn models(&self) -> Vec<String> {
        let kept = self.kept.lock();
        kept.keys().map(|(_, space)| space.model.clone()).collect()
    }
}

fn refused(reason: &str) -> VectorError {
    VectorError {
        index: "shelf",
        at: "here".to_owned(),
        reason: reason.to_owned(),
    }
}

#[async_trait]
impl VectorIndex for Shelf {
    async fn replace(
        &self,
        org: OrgId,
        space: &Space,
        document: DocumentId,
        entries: Vec<Entry>,
    ) -> Result<(), VectorError> {
        let mut kept = self.kept.lock();
        if entries.is_empty() {
            if let Some(documents) = kept.get_mut(&(org, space.clone())) {
                documents.remove(&document);
            }
            return Ok(());
        }
        let documents = kept.entry((org, space.clone())).or_default();
        documents.insert(document, entries);
        Ok(())
    }

    async fn drop_space(&self, org: OrgId, space: &Space) -> Result<(), VectorError> {
        let meanwhile = self.meanwhile.lock().take();
        if let Some((other, ingest)) = meanwhile {
            let kept = other.ingest(org, ingest, at(0)).await;
            kept.map_err(|error| refused(&error.to_string()))?;
        }
        self.kept.lock().remove(&(org, space.clone()));
        match std::mem::take(&mut *self.fails.lock()) {
            true => Err(refused("no answer")),
            false => Ok(()),
        }
    }

    async fn nearest(
        &self,
        org: OrgId,
        (space, query): (&Space, &[f32]),
        _scope: &Scope,
        most: usize,
    ) -> Result<Vec<Near>, VectorError> {
        let kept = self.kept.lock();
        let documents = kept.get(&(org, space.clone()));
        let documents = documents.ok_or_else(|| refused("nothing of this organisation"))?;
        let mut near = Vec::new();
        for (document, entries) in documents {
            near.extend(entries.iter().map(|entry| {
                Near {
                    document: *document,
                    ordinal: entry.ordinal,
                    revision: entry.revision,
                    cosine: entry
                        .vector
                        .iter()
                        .zip(query)
                        .map(|(a, b)| f64::from(a * b))
                        .sum(),
                }
            }));
        }
        near.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
        near.truncate(most);
        Ok(near)
    }
}

async fn open(
    fixture: &Fixture,
    shelf: &Arc<Shelf>,
    embedder: &Arc<Thesaurus>,
) -> Result<Retrieval> {
    let embedder: Arc<dyn Embedder> = Arc::<Thesaurus>::clone(embedder);
    let external: Arc<dyn VectorIndex> = Arc::<Shelf>::clone(shelf);
    let limits = Limits::default();
    fixture.open(limits, Some(embedder), Some(external)).await
}

/// A replica with an old model, and one with a new one.
async fn replicas(fixture: &Fixture, shelf: &Arc<Shelf>) -> Result<[Retrieval; 2]> {
    let (old, new) = (Thesaurus::of_animals(), Thesaurus::of_animals());
    new.become_model("thesaurus-2");
    let (old, new) = (Arc::new(old), Arc::new(new));
    let old = open(fixture, shelf, &old).await?;
    Ok([old, open(fixture, shelf, &new).await?])
}

/// Two replicas with models of their own; while the space of the old one is dropped, it keeps a document.
async fn kept_meanwhile(fixture: &Fixture) -> Result<(Arc<Shelf>, OrgId, [Retrieval; 2])> {
    let (shelf, org) = (Arc::new(Shelf::default()), org());
    let [old, new] = replicas(fixture, &shelf).await?;
    old.ingest(org, note("cat", "a cat sleeps"), at(0)).await?;
    let dog = note("dog", "a dog barks");
    *shelf.meanwhile.lock() = Some((old.clone(), dog));
    Ok((shelf, org, [old, new]))
}

/// Whether what was kept while its space was being dropped is found there.
async fn is_found_there(retrieval: &Retrieval, org: OrgId) -> Result<bool> {
    let found = search(retrieval, shared(org), "canine").await?;
    let hit = found.hits.iter().find(|hit| hit.title == "dog");
    Ok(hit.is_some_and(|hit| hit.cosine.is_some()))
}

pub(crate) async fn what_is_kept_while_a_space_is_dropped_is_told_again(
    fixture: &Fixture,
) -> Result<()> {
    let (shelf, org, [old, new]) = kept_meanwhile(fixture).await?;
    let filled = new.backfill(org, 10).await?;
    ensure!(
        filled.embedded == 1 && filled.reason.is_none(),
        "{filled:?}"
    );
    ensure!(shelf.meanwhile.lock().is_none(), "nothing was dropped");
    ensure!(is_found_there(&old, org).await?);
    // Nobody uses it any more, and it goes.
    ensure!(new.backfill(org, 10).await?.embedded == 1);
    ensure!(shelf.models() == ["thesaurus-2"], "{:?}", shelf.models());
    ensure!(is_found_there(&new, org).await?);
    Ok(())
}

/// Whoever stops between dropping a space and looking at who uses it left a mark.
pub(crate) async fn whoever_fails_while_a_space_is_dropped_loses_nothing(
    fixture: &Fixture,
) -> Result<()> {
    let (shelf, org, [old, new]) = kept_meanwhile(fixture).await?;
    *shelf.fails.lock() = true;
    let reason = new.backfill(org, 10).await?.reason;
    ensure!(reason.is_some_and(|reason| reason.contains("no answer")));
    ensure!(!is_found_there(&old, org).await?);
    // No budget for anything but what was left undone.
    ensure!(new.backfill(org, 0).await?.reason.is_none());
    ensure!(is_found_there(&old, org).await?);
    Ok(())
}

pub(crate) async fn an_old_space_goes_though_some_texts_have_nobody(
    fixture: &Fixture,
) -> Result<()> {
    let (shelf, org) = (Arc::new(Shelf::default()), org());
    let embedder = Arc::new(Thesaurus::of_animals());
    let retrieval = open(fixture, &shelf, &embedder).await?;
    embedder.answer_up_to(Open);
    let strict = private(LocalOnly, note("strict", "a cat sleeps"));
    retrieval.ingest(org, strict, at(0)).await?;
    retrieval
        .ingest(org, note("open", "a cat sleeps"), at(0))
        .await?;
    ensure!(shelf.models() == ["thesaurus-1"]);
    embedder.become_model("thesaurus-2");
    // Which model it is now is only known from an answer.
    search(&retrieval, shared(org), "feline").await?;
    let filled = retrieval.backfill(org, 10).await?;
    ensure!(
        filled.embedded == 1 && filled.reason.is_some(),
        "{filled:?}"
    );
    ensure!(shelf.models() == ["thesaurus-2"], "{:?}", shelf.models());
    Ok(())
}
