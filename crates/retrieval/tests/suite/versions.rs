//! What is kept again opens nothing by the way.

use std::sync::Arc;

use anyhow::{Result, ensure};
use nexus_contracts::settings::Privacy::{self, LocalOnly, Open, Sensitive};
use nexus_retrieval::{Embedder, Ingest, Limits, Outcome, Page};

use crate::embedders::{Meddled, Thesaurus};
use crate::fixture::{Fixture, at, note, org, shared};
use crate::privacy::{ALL, private, search, with};

pub(crate) async fn a_document_is_as_private_as_its_last_version(fixture: &Fixture) -> Result<()> {
    let (retrieval, org) = (fixture.plain().await?, org());
    for (privacy, found) in [(Open, 1), (LocalOnly, 0), (Sensitive, 0), (Open, 1)] {
        let document = private(privacy, note("a", "the red fox"));
        retrieval.ingest(org, document, at(0)).await?;
        let open = search(&retrieval, (shared(org), Open), "fox", 5).await?;
        ensure!(
            (open.hits.len(), open.withheld) == (found, 1 - found),
            "{open:?}"
        );
    }
    Ok(())
}

pub(crate) async fn a_document_that_is_sent_again_is_opened_only_when_asked(
    fixture: &Fixture,
) -> Result<()> {
    let (embedder, org) = (Arc::new(Thesaurus::of_animals()), org());
    let retrieval = with(fixture, &embedder).await?;
    let kept = private(LocalOnly, note("a", "a cat"));
    ensure!(retrieval.ingest(org, kept, at(0)).await?.privacy == LocalOnly);
    for (text, outcome) in [
        ("a cat", Outcome::Unchanged),
        ("a fat cat", Outcome::Replaced),
    ] {
        let again = retrieval.ingest(org, note("a", text), at(1)).await?;
        ensure!(
            (again.privacy, again.outcome) == (LocalOnly, outcome),
            "{again:?}"
        );
    }
    let asked = embedder.asked();
    ensure!(
        asked.len() == 2 && asked.iter().all(|(_, privacy)| *privacy == LocalOnly),
        "{asked:?}"
    );
    let open = search(&retrieval, (shared(org), Open), "cat", 5).await?;
    ensure!(open.hits.is_empty() && open.withheld == 1, "{open:?}");
    let opened = private(Open, note("a", "a fat cat"));
    let opened = retrieval.ingest(org, opened, at(2)).await?;
    ensure!(opened.privacy == Open && opened.outcome == Outcome::Replaced);
    ensure!(
        retrieval
            .ingest(org, note("b", "a dog"), at(2))
            .await?
            .privacy
            == Open
    );
    Ok(())
}

/// While its vectors were asked for as of something open, somebody said that it is not.
pub(crate) async fn what_becomes_stricter_meanwhile_stays_so(fixture: &Fixture) -> Result<()> {
    let (other, org) = (fixture.plain().await?, org());
    let strict = private(LocalOnly, note("a", "a cat"));
    let embedder: Arc<dyn Embedder> = Arc::new(Meddled::new(other, strict));
    let retrieval = fixture.open(Limits::default(), Some(embedder), None);
    let retrieval = retrieval.await?;
    let again = retrieval.ingest(org, note("a", "a fat cat"), at(1)).await?;
    ensure!(
        again.privacy == LocalOnly && again.not_embedded.is_some(),
        "{again:?}"
    );
    let listed = retrieval
        .documents(shared(org), None, Page::default())
        .await?;
    ensure!(
        listed[0].privacy == LocalOnly && listed[0].embedded == 0,
        "{listed:?}"
    );
    Ok(())
}

pub(crate) async fn what_is_kept_apart_is_replaced_by_none_but_its_own(
    fixture: &Fixture,
) -> Result<()> {
    let (retrieval, org) = (fixture.plain().await?, org());
    let apart = |privacy: Privacy, text: &str| Ingest {
        apart: true,
        ..private(privacy, note("a", text))
    };
    // What somebody filed who sees all of it.
    let filed = private(LocalOnly, note("a", "a fox that was filed"));
    retrieval.ingest(org, filed, at(0)).await?;
    for privacy in [LocalOnly, Open, Sensitive, LocalOnly, Open] {
        let text = format!("a fox that is {}", privacy.as_str());
        let kept = retrieval.ingest(org, apart(privacy, &text), at(0)).await?;
        ensure!(kept.privacy == privacy, "{kept:?}");
    }
    let changed = apart(Sensitive, "a fox that is sensitive and red");
    let changed = retrieval.ingest(org, changed, at(1)).await?;
    ensure!(changed.outcome == Outcome::Replaced, "{changed:?}");
    let texts = [
        (Open, "a fox that is open"),
        (Sensitive, "a fox that is sensitive and red"),
        (LocalOnly, "a fox that is local_only"),
        (LocalOnly, "a fox that was filed"),
    ];
    for privacy in ALL {
        let found = search(&retrieval, (shared(org), privacy), "fox", 9).await?;
        let mut found: Vec<&str> = found.hits.iter().map(|hit| hit.text.as_str()).collect();
        found.sort_unstable();
        let seen = texts.iter().filter(|(of, _)| *of <= privacy);
        let mut expected: Vec<&str> = seen.map(|(_, text)| *text).collect();
        expected.sort_unstable();
        ensure!(found == expected, "{privacy:?}: {found:?}");
    }
    Ok(())
}
