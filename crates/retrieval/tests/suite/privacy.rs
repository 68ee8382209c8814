//! What is kept goes no further than it may.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use nexus_contracts::settings::Privacy::{self, LocalOnly, Open, Sensitive};
use nexus_retrieval::{
    Embedder, Found, Ingest, Limits, MemoryId, Page, Recall, Remember, Retrieval, Search, Viewer,
};
use nexus_store::Value;

use crate::embedders::Thesaurus;
use crate::fixture::{Fixture, at, note, org, remember, seen_by, shared, user};

pub(crate) const ALL: [Privacy; 3] = [Open, Sensitive, LocalOnly];

pub(crate) async fn with(fixture: &Fixture, embedder: &Arc<Thesaurus>) -> Result<Retrieval> {
    let embedder: Arc<dyn Embedder> = Arc::<Thesaurus>::clone(embedder);
    fixture.open(Limits::default(), Some(embedder), None).await
}

pub(crate) fn private(privacy: Privacy, ingest: Ingest) -> Ingest {
    Ingest {
        privacy: Some(privacy),
        ..ingest
    }
}

pub(crate) fn said(privacy: Privacy, text: &str) -> Remember {
    Remember {
        privacy,
        ..remember(text)
    }
}

/// The first `limit` parts that a conversation of this privacy finds.
pub(crate) async fn search(
    retrieval: &Retrieval,
    (viewer, privacy): (Viewer, Privacy),
    query: &str,
    limit: usize,
) -> Result<Found> {
    let search = Search {
        viewer,
        collections: None,
        query: query.to_owned(),
        privacy,
        limit,
    };
    Ok(retrieval.search(search).await?)
}

fn titles(found: &Found) -> Vec<&str> {
    let mut titles: Vec<&str> = found.hits.iter().map(|hit| hit.title.as_str()).collect();
    titles.sort_unstable();
    titles
}

/// By words, by meaning, and by both: all have it in them.
pub(crate) async fn a_conversation_finds_nothing_stricter(fixture: &Fixture) -> Result<()> {
    let (embedder, org, ada) = (Arc::new(Thesaurus::of_animals()), org(), user());
    let retrieval = with(fixture, &embedder).await?;
    let memory = retrieval.memory();
    for privacy in ALL {
        let name = privacy.as_str();
        let document = private(privacy, note(name, &format!("a cat, {name}")));
        retrieval.ingest(org, document, at(0)).await?;
        let text = format!("has a cat, {name}");
        memory
            .remember(org, ada, said(privacy, &text), at(0))
            .await?;
    }
    for (privacy, names) in [
        (Open, &["open"][..]),
        (Sensitive, &["open", "sensitive"][..]),
        (LocalOnly, &["local_only", "open", "sensitive"][..]),
    ] {
        for query in ["cat", "feline", "feline cat", "open sensitive local_only"] {
            let found = search(&retrieval, (seen_by(org, ada), privacy), query, 9).await?;
            // Whatever says nothing of cats is found by words alone.
            ensure!(titles(&found) == names, "{privacy:?} {query}: {found:?}");
            ensure!(found.withheld == 3 - names.len(), "{found:?}");
            let recalled = memory.recall(org, ada, (query, privacy), 9).await?;
            let right = recalled
                .memories
                .iter()
                .all(|one| one.item.privacy <= privacy);
            ensure!(
                right && recalled.memories.len() == names.len(),
                "{recalled:?}"
            );
            ensure!(recalled.withheld == 3 - names.len(), "{recalled:?}");
        }
    }
    // What nobody else may see is not even said to be there.
    let others = memory.recall(org, user(), ("cat", Open), 9).await?;
    ensure!(
        others.withheld == 0 && others.memories.is_empty(),
        "{others:?}"
    );
    let listed = retrieval
        .documents(shared(org), None, Page::default())
        .await?;
    ensure!(
        listed
            .iter()
            .all(|info| info.privacy.as_str() == info.title),
        "{listed:?}"
    );
    ensure!(listed.len() == 3 && memory.list(org, ada, Page::default()).await?.len() == 3);
    Ok(())
}

/// Neither in an order, nor in a score, nor as a place less; and that it is there is said whatever is
/// asked for, since what it depended on would tell what it says.
pub(crate) async fn what_is_stricter_shows_in_nothing_but_that_it_is_there(
    fixture: &Fixture,
) -> Result<()> {
    let (embedder, org) = (Arc::new(Thesaurus::of_animals()), org());
    let retrieval = with(fixture, &embedder).await?;
    for (title, text) in [("a", "a cat sleeps on a mat"), ("b", "a dog sees a cat")] {
        retrieval.ingest(org, note(title, text), at(0)).await?;
    }
    let open = (shared(org), Open);
    let mut before = Vec::new();
    for query in ["cat", "feline", "canine"] {
        before.push((query, search(&retrieval, open, query, 1).await?));
    }
    for number in 0..150 {
        let (privacy, name) = (ALL[1 + number % 2], format!("{number}"));
        let strict = private(privacy, note(&name, "cat cat feline cat dog"));
        retrieval.ingest(org, strict, at(0)).await?;
    }
    for (query, before) in before {
        let found = search(&retrieval, open, query, 1).await?;
        let expected = Found {
            withheld: 150,
            ..before
        };
        ensure!(found == expected, "{query}: {found:?} and not {expected:?}");
    }
    for (query, collection) in [("cat", "notes"), ("whale", "notes"), ("cat", "elsewhere")] {
        let asked = Search {
            viewer: shared(org),
            collections: Some(vec![collection.to_owned()]),
            query: query.to_owned(),
            privacy: Open,
            limit: 9,
        };
        let found = retrieval.search(asked).await?;
        ensure!(found.withheld == 150, "{query} in {collection}: {found:?}");
    }
    Ok(())
}

pub(crate) async fn each_text_is_embedded_under_its_own_privacy(fixture: &Fixture) -> Result<()> {
    let (embedder, org, ada) = (Arc::new(Thesaurus::of_animals()), org(), user());
    let retrieval = with(fixture, &embedder).await?;
    let memory = retrieval.memory();
    let fill = async |when: &str| -> Result<()> {
        for privacy in ALL {
            let name = privacy.as_str();
            let text = format!("a cat, {when} {name}");
            let document = private(privacy, note(&format!("{when} {name}"), &text));
            retrieval.ingest(org, document, at(0)).await?;
            memory
                .remember(org, ada, said(privacy, &text), at(0))
                .await?;
        }
        Ok(())
    };
    // Each text names its own.
    let right = |asked: &[(String, Privacy)]| {
        let own = |(text, privacy): &(String, Privacy)| text.ends_with(privacy.as_str());
        asked.iter().all(own)
    };
    fill("at once").await?;
    let asked = embedder.asked();
    ensure!(asked.len() == 6 && right(&asked), "{asked:?}");
    embedder.fall_asleep();
    fill("later").await?;
    embedder.wake();
    ensure!(embedder.asked().is_empty());
    let filled = retrieval.backfill(org, 100).await?;
    ensure!((filled.embedded, filled.left) == (6, 0), "{filled:?}");
    let asked = embedder.asked();
    ensure!(asked.len() == 6 && right(&asked), "{asked:?}");
    for privacy in ALL {
        let query = format!("feline, {}", privacy.as_str());
        search(&retrieval, (shared(org), privacy), &query, 5).await?;
        memory.recall(org, ada, (&query, privacy), 5).await?;
    }
    let asked = embedder.asked();
    ensure!(asked.len() == 6 && right(&asked), "{asked:?}");
    Ok(())
}

/// What may not leave has another model than what may: neither is taken for the old one of the other.
pub(crate) async fn a_model_for_each_privacy_is_made_up_for_once(fixture: &Fixture) -> Result<()> {
    let (embedder, org) = (Arc::new(Thesaurus::of_animals()), org());
    let retrieval = with(fixture, &embedder).await?;
    embedder.stand_apart();
    for privacy in ALL {
        let document = private(privacy, note(privacy.as_str(), "a cat"));
        retrieval.ingest(org, document, at(0)).await?;
    }
    let filled = retrieval.backfill(org, 100).await?;
    ensure!((filled.embedded, filled.left) == (0, 0), "{filled:?}");
    embedder.become_model("thesaurus-2");
    // Which model it is now is only known from an answer.
    for privacy in ALL {
        search(&retrieval, (shared(org), privacy), "feline", 5).await?;
    }
    for (embedded, left) in [(2, 1), (1, 0), (0, 0)] {
        let filled = retrieval.backfill(org, 2).await?;
        ensure!(
            (filled.embedded, filled.left) == (embedded, left),
            "{filled:?}"
        );
    }
    let found = search(&retrieval, (shared(org), LocalOnly), "feline", 5).await?;
    ensure!(titles(&found) == ["local_only"], "{found:?}");
    let reason = found.reason.context("a reason")?;
    ensure!(
        reason
            == "2 of 3 chunks have a vector of another model than thesaurus-2-local_only (256 dimensions)",
        "{reason}"
    );
    embedder.fall_asleep();
    retrieval.ingest(org, note("later", "a cat"), at(0)).await?;
    embedder.wake();
    let found = search(&retrieval, (shared(org), LocalOnly), "feline", 5).await?;
    let reason = found.reason.context("a reason")?;
    ensure!(reason.starts_with("1 of 4 chunks have no vector yet; 2 of 4 chunks"));
    Ok(())
}

pub(crate) async fn what_must_stay_here_waits_for_somebody_here(fixture: &Fixture) -> Result<()> {
    let (embedder, org) = (Arc::new(Thesaurus::of_animals()), org());
    let retrieval = with(fixture, &embedder).await?;
    embedder.fall_asleep();
    for privacy in ALL {
        let document = private(privacy, note(privacy.as_str(), "a cat"));
        retrieval.ingest(org, document, at(0)).await?;
    }
    embedder.answer_up_to(Open);
    let filled = retrieval.backfill(org, 100).await?;
    ensure!(
        filled.embedded == 1 && filled.reason.is_some(),
        "{filled:?}"
    );
    let open = search(&retrieval, (shared(org), Open), "feline", 5).await?;
    ensure!(
        titles(&open) == ["open"] && open.reason.is_none(),
        "{open:?}"
    );
    let strict = search(&retrieval, (shared(org), LocalOnly), "feline", 5).await?;
    ensure!(
        strict.hits.is_empty() && strict.reason.is_some(),
        "{strict:?}"
    );
    embedder.wake();
    ensure!(retrieval.backfill(org, 100).await?.embedded == 2);
    let strict = search(&retrieval, (shared(org), LocalOnly), "feline", 5).await?;
    ensure!(strict.hits.len() == 3, "{strict:?}");
    Ok(())
}

pub(crate) async fn what_is_said_again_more_openly_is_kept_beside_it(
    fixture: &Fixture,
) -> Result<()> {
    let limits = Limits {
        memories_per_user: 2,
        ..Limits::default()
    };
    let memory = fixture.open(limits, None, None).await?.memory();
    let (org, ada) = (org(), user());
    let seen = async |privacy: Privacy| -> Result<Vec<(String, bool)>> {
        let recalled = memory.recall(org, ada, ("tea", privacy), 9).await?.memories;
        let items = recalled.into_iter().map(|one| one.item);
        Ok(items.map(|item| (item.text, item.untrusted)).collect())
    };
    let secret = memory
        .remember(org, ada, said(LocalOnly, "likes TEA"), at(0))
        .await?;
    ensure!(seen(Sensitive).await?.is_empty() && seen(LocalOnly).await?.len() == 1);
    let page = Remember {
        untrusted: true,
        ..said(Sensitive, "likes tea")
    };
    // Not told that it was known: whoever guesses learns nothing.
    let guessed = memory.remember(org, ada, page, at(1)).await?;
    ensure!(!guessed.merged && guessed.id != secret.id);
    let untrusted = ("likes tea".to_owned(), true);
    let strict = ("likes TEA".to_owned(), false);
    ensure!(seen(Sensitive).await? == std::slice::from_ref(&untrusted));
    let both = seen(LocalOnly).await?;
    ensure!(both.len() == 2 && both.contains(&untrusted) && both.contains(&strict));
    ensure!(seen(Open).await?.is_empty());
    // Said by the person where it is stricter: theirs, and as open as it was.
    let theirs = memory
        .remember(org, ada, said(LocalOnly, "Likes tea!"), at(2))
        .await?;
    ensure!(theirs.merged && theirs.id == guessed.id);
    ensure!(seen(Sensitive).await? == [("Likes tea!".to_owned(), false)]);
    // And there is as little room as for anything else.
    let full = memory
        .remember(org, ada, said(Open, "likes tea"), at(4))
        .await;
    let other = memory
        .remember(org, ada, said(Open, "likes coffee"), at(4))
        .await;
    let said = |refused: Result<_, nexus_retrieval::Error>| refused.map_err(|e| e.to_string());
    ensure!(full.is_err() && said(full) == said(other));
    Ok(())
}

/// Whoever guesses what is withheld sees the same before and after, right or wrong.
pub(crate) async fn a_right_guess_changes_nothing_that_a_guess_does_not(
    fixture: &Fixture,
) -> Result<()> {
    let memory = fixture.plain().await?.memory();
    let mut seen = Vec::new();
    for guess in ["likes tea", "likes beer"] {
        let (org, ada) = (org(), user());
        let strict = said(LocalOnly, "Likes tea.");
        memory.remember(org, ada, strict, at(0)).await?;
        let mut answers = Vec::new();
        for second in 1..3 {
            let guessed = memory.remember(org, ada, said(Open, guess), at(second));
            let guessed = guessed.await?;
            let recalled = memory.recall(org, ada, ("likes", Open), 5).await?;
            ensure!(recalled.memories[0].item.id == guessed.id);
            let first = recalled.memories[0].item.created_at;
            let count = recalled.memories.len();
            answers.push((guessed.merged, count, first, recalled.withheld));
        }
        let recalled = memory.recall(org, ada, ("likes", LocalOnly), 5).await?;
        ensure!(recalled.memories.len() == 2, "{recalled:?}");
        let forgotten = memory.forget(org, ada, recalled_id(&recalled, Open)?);
        ensure!(forgotten.await?.count == 1);
        let left = memory.recall(org, ada, ("likes", Open), 5).await?;
        ensure!(left.memories.is_empty() && left.withheld == 1, "{left:?}");
        seen.push(answers);
    }
    ensure!(seen[0] == seen[1], "{seen:?}");
    Ok(())
}

fn recalled_id(recalled: &Recall, privacy: Privacy) -> Result<MemoryId> {
    let mut items = recalled.memories.iter().map(|one| &one.item);
    let item = items.find(|item| item.privacy == privacy);
    Ok(item.context("a memory")?.id)
}

/// The index is a copy, and may be behind what it is a copy of.
pub(crate) async fn what_the_database_says_counts(fixture: &Fixture) -> Result<()> {
    let (retrieval, org) = (fixture.plain().await?, org());
    retrieval
        .ingest(org, note("a", "the red fox"), at(0))
        .await?;
    let open = (shared(org), Open);
    ensure!(search(&retrieval, open, "fox", 5).await?.hits.len() == 1);
    let tx = fixture.store().await?.begin(org).await?;
    let sql = "UPDATE retrieval_document SET privacy = $2 WHERE org_id = $1";
    let values = vec![Value::from(org.to_string()), Value::from(1_i64)];
    ensure!(tx.execute(sql, values).await? == 1);
    tx.commit().await?;
    ensure!(search(&retrieval, open, "fox", 5).await?.hits.is_empty());
    let sensitive = (shared(org), Sensitive);
    ensure!(search(&retrieval, sensitive, "fox", 5).await?.hits.len() == 1);
    Ok(())
}
