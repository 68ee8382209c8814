//! Taking in, finding, listing.

use anyhow::{Context, Result, ensure};
use nexus_contracts::Timestamp;
use nexus_contracts::settings::Privacy;
use nexus_retrieval::{DocumentId, Error, Ingest, Limits, Outcome, Page, Search};

use crate::fixture::{Fixture, at, note, org, search, shared, titles};

pub(crate) async fn the_same_again_changes_nothing_and_a_change_replaces(
    fixture: &Fixture,
) -> Result<()> {
    let (retrieval, org) = (fixture.plain().await?, org());
    let first = retrieval
        .ingest(org, note("a", "the red fox"), at(0))
        .await?;
    ensure!(
        first.outcome == Outcome::Added && first.chunks == 1,
        "{first:?}"
    );
    let again = retrieval
        .ingest(org, note("a", "the red fox"), at(9))
        .await?;
    ensure!(
        again.outcome == Outcome::Unchanged && again.id == first.id,
        "{again:?}"
    );
    let listed = retrieval
        .documents(shared(org), None, Page::default())
        .await?;
    ensure!(
        listed.len() == 1 && listed[0].added_at == at(0),
        "{listed:?}"
    );
    ensure!(titles(&retrieval, shared(org), "fox").await? == ["a"]);
    let changed = retrieval
        .ingest(org, note("a", "the blue whale"), at(10))
        .await?;
    ensure!(
        changed.outcome == Outcome::Replaced && changed.id == first.id,
        "{changed:?}"
    );
    ensure!(titles(&retrieval, shared(org), "fox").await?.is_empty());
    let found = search(&retrieval, shared(org), "whale").await?;
    ensure!(found.hits.len() == 1 && found.hits[0].sha256 == changed.sha256);
    let untrusted = Ingest {
        untrusted: true,
        ..note("a", "the blue whale")
    };
    let relabelled = retrieval.ingest(org, untrusted, at(11)).await?;
    ensure!(relabelled.outcome == Outcome::Replaced);
    ensure!(search(&retrieval, shared(org), "whale").await?.hits[0].untrusted);
    Ok(())
}

const GUIDE: &str = "# Guide\n\nAn introduction that says nothing of interest.\n\n## Brakes\n\n\
    Pads wear down – replace both.\n\n## Tyres\n\nKeep the pressure up.\n";

pub(crate) async fn a_citation_leads_to_where_it_is_from(fixture: &Fixture) -> Result<()> {
    let limits = Limits {
        chunk_chars: 60,
        ..Limits::default()
    };
    let (retrieval, org) = (fixture.open(limits, None, None).await?, org());
    let guide = Ingest {
        source: "https://example.com/guide".to_owned(),
        content_type: "text/markdown".to_owned(),
        untrusted: true,
        ..note("Car guide", GUIDE)
    };
    let ingested = retrieval.ingest(org, guide, at(0)).await?;
    ensure!(ingested.chunks == 3, "{ingested:?}");
    let found = search(&retrieval, shared(org), "worn pads").await?;
    let hit = found.hits.first().context("a hit")?;
    ensure!(hit.document == ingested.id && hit.ordinal == 1, "{hit:?}");
    ensure!(hit.title == "Car guide" && hit.source == "https://example.com/guide");
    ensure!(hit.context == "Guide > Brakes" && hit.untrusted && hit.sha256 == ingested.sha256);
    ensure!(GUIDE.get(hit.range.clone()) == Some(&hit.text), "{hit:?}");
    ensure!(hit.bm25.is_some_and(|score| score > 0.0) && hit.cosine.is_none());
    let text = retrieval.text(shared(org), hit.document).await?;
    ensure!(text.as_deref() == Some(GUIDE));
    Ok(())
}

pub(crate) async fn a_search_keeps_to_its_collections(fixture: &Fixture) -> Result<()> {
    let (retrieval, org) = (fixture.plain().await?, org());
    for name in ["one", "two"] {
        let collection = name.to_owned();
        let ingest = Ingest {
            collection,
            ..note(name, "the red fox")
        };
        retrieval.ingest(org, ingest, at(0)).await?;
    }
    let search = async |collections: &[&str]| -> Result<Vec<String>> {
        let names = collections.iter().map(|name| (*name).to_owned());
        let search = Search {
            viewer: shared(org),
            collections: Some(names.collect()),
            query: "fox".to_owned(),
            privacy: Privacy::Open,
            limit: 10,
        };
        let found = retrieval.search(search).await?;
        Ok(found.hits.into_iter().map(|hit| hit.title).collect())
    };
    ensure!(search(&["two"]).await? == ["two"]);
    ensure!(search(&["one", "two"]).await?.len() == 2);
    ensure!(search(&["three"]).await?.is_empty() && search(&[]).await?.is_empty());
    let collections = retrieval.collections(shared(org)).await?;
    let names: Vec<&str> = collections.iter().map(|one| one.name.as_str()).collect();
    ensure!(names == ["one", "two"] && collections[0].documents == 1);
    ensure!(retrieval.delete_collection(org, None, "one").await?.count == 1);
    ensure!(titles(&retrieval, shared(org), "fox").await? == ["two"]);
    Ok(())
}

pub(crate) async fn lists_have_pages(fixture: &Fixture) -> Result<()> {
    let (retrieval, org) = (fixture.plain().await?, org());
    // Two of each second.
    for number in 0..6 {
        let ingest = note(&format!("n{number}"), "text");
        retrieval.ingest(org, ingest, at(number / 2)).await?;
    }
    let (mut page, mut seen) = (
        Page {
            behind: None,
            limit: Some(4),
        },
        Vec::new(),
    );
    loop {
        let listed = retrieval
            .documents(shared(org), Some("notes"), page)
            .await?;
        let Some(last) = listed.last() else { break };
        page.behind = Some((last.added_at, last.id.0));
        seen.extend(listed.into_iter().map(|info| (info.added_at, info.title)));
    }
    ensure!(seen.len() == 6, "{seen:?}");
    let times: Vec<Timestamp> = seen.iter().map(|(at, _)| *at).collect();
    ensure!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    Ok(())
}

pub(crate) async fn too_much_is_refused_and_says_what_helps(fixture: &Fixture) -> Result<()> {
    let limits = Limits {
        document_bytes: 100,
        chunk_chars: 10,
        chunks_per_document: 4,
        documents_per_org: 2,
        chunks_per_org: 6,
        ..Limits::default()
    };
    let (retrieval, org) = (fixture.open(limits, None, None).await?, org());
    let refused = async |ingest: Ingest| retrieval.ingest(org, ingest, at(0)).await.err();
    let says = |error: Option<Error>, words: &str| {
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        anyhow::ensure!(text.contains(words), "{text:?} and not {words:?}");
        Ok(())
    };
    says(
        refused(note("a", " \n")).await,
        "the document holds no text",
    )?;
    says(
        refused(note("a", &"x".repeat(101))).await,
        "split it, or raise `document_bytes`",
    )?;
    says(
        refused(note("a", &"x".repeat(41))).await,
        "raise `chunks_per_document`",
    )?;
    says(refused(note(" ", "x")).await, "the source holds no text")?;
    says(
        refused(note(&"x".repeat(501), "x")).await,
        "the title has 501 bytes",
    )?;
    retrieval
        .ingest(org, note("a", &"x".repeat(40)), at(0))
        .await?;
    says(
        refused(note("b", &"x".repeat(30))).await,
        "raise `chunks_per_org`",
    )?;
    retrieval
        .ingest(org, note("b", &"x".repeat(20)), at(0))
        .await?;
    says(refused(note("c", "x")).await, "3, and at most 2 are kept")?;
    // What is there may change.
    retrieval
        .ingest(org, note("b", &"y".repeat(20)), at(0))
        .await?;
    let long = search(&retrieval, shared(org), &"x ".repeat(3_000)).await;
    ensure!(long.is_err_and(|error| error.to_string().contains("ask for less")));
    ensure!(search(&retrieval, shared(org), " ").await.is_err());
    Ok(())
}

pub(crate) async fn any_text_is_taken(fixture: &Fixture) -> Result<()> {
    let (retrieval, org) = (fixture.plain().await?, org());
    let text = "nul \0 inside, 東京都, e\u{301}, '; DROP TABLE x; --, \u{1f980} %_\\";
    let id = retrieval.ingest(org, note("odd \0", text), at(0)).await?.id;
    let kept = retrieval.text(shared(org), id).await?.context("a text")?;
    ensure!(kept == text.replace('\0', " ") && kept.len() == text.len());
    for query in [
        "東京",
        "'; DROP TABLE",
        "nul \0 inside",
        "\u{1f980} e\u{301}",
    ] {
        ensure!(
            titles(&retrieval, shared(org), query).await? == ["odd  "],
            "{query}"
        );
    }
    for query in ["\u{1f980}", "\0", "%", "\""] {
        ensure!(
            titles(&retrieval, shared(org), query).await?.is_empty(),
            "{query}"
        );
    }
    let nothing = DocumentId::of(org, None, "notes", "nowhere");
    ensure!(retrieval.text(shared(org), nothing).await?.is_none());
    Ok(())
}
