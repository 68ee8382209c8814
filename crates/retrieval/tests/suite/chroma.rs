//! Against a real Chroma.

mod server;

use std::sync::Arc;

use anyhow::{Result, ensure};
use nexus_contracts::settings::Privacy;
use nexus_retrieval::{
    Embedder, Entry, Ingest, Limits, Mode, Retrieval, Scope, Space, VectorIndex,
};

use crate::embedders::Thesaurus;
use crate::fixture::{Fixture, at, note, org, remember, search, seen_by, shared, titles, user};
use crate::privacy::private;
use server::Server;
pub(crate) use server::provider;

async fn open(fixture: &Fixture, server: &Server, embedder: &Arc<Thesaurus>) -> Result<Retrieval> {
    let embedder: Arc<dyn Embedder> = Arc::<Thesaurus>::clone(embedder);
    let external: Arc<dyn VectorIndex> = server.client()?;
    fixture
        .open(Limits::default(), Some(embedder), Some(external))
        .await
}

#[tokio::test]
async fn meaning_is_found_there_and_words_here() -> Result<()> {
    let (fixture, server) = (Fixture::sqlite()?, Server::new().await?);
    let embedder = Arc::new(Thesaurus::of_animals());
    let (retrieval, org) = (open(&fixture, &server, &embedder).await?, org());
    for (title, text) in [
        ("cat", "a cat sleeps"),
        ("dog", "a dog barks"),
        ("sun", "it shines"),
    ] {
        let ingested = retrieval.ingest(org, note(title, text), at(0)).await?;
        ensure!(
            ingested.not_told.is_none() && ingested.not_embedded.is_none(),
            "{ingested:?}"
        );
    }
    let found = search(&retrieval, shared(org), "feline").await?;
    ensure!(
        found.mode == Mode::Hybrid && found.reason.is_none(),
        "{found:?}"
    );
    ensure!(found.hits[0].title == "cat" && found.hits[0].cosine.is_some_and(|c| c > 0.8));
    ensure!(titles(&retrieval, shared(org), "shines").await?[0] == "sun");
    Ok(())
}

#[tokio::test]
async fn everybody_finds_there_what_is_theirs() -> Result<()> {
    let (fixture, server) = (Fixture::sqlite()?, Server::new().await?);
    let embedder = Arc::new(Thesaurus::of_animals());
    let retrieval = open(&fixture, &server, &embedder).await?;
    let (ours, theirs, ada, bob) = (org(), org(), user(), user());
    retrieval
        .ingest(ours, note("shared", "a cat sleeps"), at(0))
        .await?;
    retrieval
        .ingest(theirs, note("theirs", "another cat"), at(0))
        .await?;
    let own = Ingest {
        owner: Some(ada),
        ..note("own", "my cat")
    };
    retrieval.ingest(ours, own, at(0)).await?;
    let (memory, cat) = (retrieval.memory(), remember("has a cat"));
    memory.remember(ours, ada, cat, at(0)).await?;
    let mut mine = titles(&retrieval, seen_by(ours, ada), "feline").await?;
    mine.sort();
    ensure!(mine == ["own", "shared"], "{mine:?}");
    for viewer in [shared(ours), seen_by(ours, bob)] {
        ensure!(titles(&retrieval, viewer, "feline").await? == ["shared"]);
    }
    let recalled = memory
        .recall(ours, ada, ("feline", Privacy::Open), 5)
        .await?;
    ensure!(
        recalled.mode == Mode::Hybrid && recalled.memories.len() == 1,
        "{recalled:?}"
    );
    ensure!(
        memory
            .recall(ours, bob, ("feline", Privacy::Open), 5)
            .await?
            .memories
            .is_empty()
    );
    ensure!(server.count(ours).await? == 3 && server.count(theirs).await? == 1);
    Ok(())
}

/// Asked directly, so that nothing but its filter decides.
#[tokio::test]
async fn a_filter_finds_only_what_may_be_seen() -> Result<()> {
    let (server, org, ada, bob) = (Server::new().await?, org(), user(), user());
    let (client, space) = (
        server.client()?,
        Space {
            model: "m".to_owned(),
            dimensions: 2,
        },
    );
    let documents = [None, Some(ada), Some(bob)].map(|owner| (owner, Some("notes".to_owned())));
    let memories = [(Some(ada), None), (Some(bob), None)];
    for (number, (owner, collection)) in documents.into_iter().chain(memories).enumerate() {
        let document = nexus_retrieval::DocumentId(uuid::Uuid::from_u128(number as u128));
        let vector = vec![1.0, 0.0];
        let entry = Entry {
            ordinal: 0,
            revision: 1,
            owner,
            collection,
            privacy: Privacy::Open,
            vector,
        };
        client.replace(org, &space, document, vec![entry]).await?;
    }
    let scope = |user| Scope::Documents {
        user,
        collections: None,
        privacy: Privacy::Open,
    };
    for (scope, expected) in [
        (scope(None), vec![0]),
        (scope(Some(ada)), vec![0, 1]),
        (
            Scope::Memories {
                user: bob,
                privacy: Privacy::Open,
            },
            vec![4],
        ),
    ] {
        let near = client
            .nearest(org, (&space, &[1.0, 0.0]), &scope, 9)
            .await?;
        let mut found: Vec<u128> = near.iter().map(|near| near.document.0.as_u128()).collect();
        found.sort_unstable();
        ensure!(found == expected, "{scope:?}: {found:?}");
    }
    Ok(())
}

/// Nothing that is stricter is found there, and nothing takes the place of what may be.
#[tokio::test]
async fn a_filter_keeps_to_the_privacy_that_is_asked_for() -> Result<()> {
    let (server, org, ada) = (Server::new().await?, org(), user());
    let (client, space) = (
        server.client()?,
        Space {
            model: "m".to_owned(),
            dimensions: 2,
        },
    );
    // Nearer, the stricter it is; and of the strict ones many.
    for number in 0..120_u8 {
        let privacy = match number {
            0 => Privacy::Open,
            1 => Privacy::Sensitive,
            _ => Privacy::LocalOnly,
        };
        let angle = (1.0 - f32::from(number) / 200.0) / 2.0;
        for collection in [Some("notes".to_owned()), None] {
            let id = 2 * u128::from(number) + u128::from(collection.is_none());
            let entry = Entry {
                ordinal: 0,
                revision: 1,
                owner: Some(ada),
                collection,
                privacy,
                vector: vec![angle.cos(), angle.sin()],
            };
            let document = nexus_retrieval::DocumentId(uuid::Uuid::from_u128(id));
            client.replace(org, &space, document, vec![entry]).await?;
        }
    }
    let nearest = async |scope: Scope, most: usize| -> Result<Vec<u128>> {
        let query = (&space, [1.0, 0.0].as_slice());
        let near = client.nearest(org, query, &scope, most).await?;
        Ok(near.iter().map(|near| near.document.0.as_u128()).collect())
    };
    for (privacy, documents) in [
        (Privacy::Open, &[0][..]),
        (Privacy::Sensitive, &[2, 0][..]),
        (Privacy::LocalOnly, &[238, 236][..]),
    ] {
        let scope = Scope::Documents {
            user: Some(ada),
            collections: None,
            privacy,
        };
        let found = nearest(scope, 2).await?;
        ensure!(found == documents, "{privacy:?}: {found:?}");
        let found = nearest(Scope::Memories { user: ada, privacy }, 2).await?;
        let memories: Vec<u128> = documents.iter().map(|id| id + 1).collect();
        ensure!(found == memories, "{privacy:?}: {found:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_stricter_is_not_found_by_what_is_there() -> Result<()> {
    let (fixture, server) = (Fixture::sqlite()?, Server::new().await?);
    let embedder = Arc::new(Thesaurus::of_animals());
    let (retrieval, org) = (open(&fixture, &server, &embedder).await?, org());
    // More than a search takes from there.
    for number in 0..110 {
        let strict = private(Privacy::LocalOnly, note(&format!("{number}"), "cat feline"));
        retrieval.ingest(org, strict, at(0)).await?;
    }
    let plain = note("open", "a cat sleeps on a mat in the sun");
    retrieval.ingest(org, plain, at(0)).await?;
    let viewer = (shared(org), Privacy::Open);
    let found = crate::privacy::search(&retrieval, viewer, "feline", 9).await?;
    ensure!(
        found.mode == Mode::Hybrid && found.withheld == 110,
        "{found:?}"
    );
    let hits: Vec<&str> = found.hits.iter().map(|hit| hit.title.as_str()).collect();
    ensure!(hits == ["open"], "{hits:?}");
    // Opened, it is told there as well.
    let opened = private(Privacy::Open, note("0", "cat feline"));
    retrieval.ingest(org, opened, at(1)).await?;
    let found = crate::privacy::search(&retrieval, viewer, "feline", 9).await?;
    let near = found.hits.iter().filter(|hit| hit.cosine.is_some()).count();
    ensure!(near == 2 && found.withheld == 109, "{found:?}");
    Ok(())
}

#[tokio::test]
async fn what_it_did_not_hear_of_it_is_told_again() -> Result<()> {
    let (fixture, mut server) = (Fixture::sqlite()?, Server::new().await?);
    let embedder = Arc::new(Thesaurus::of_animals());
    let (retrieval, org) = (open(&fixture, &server, &embedder).await?, org());
    let gone = retrieval
        .ingest(org, note("gone", "a cat sleeps"), at(0))
        .await?
        .id;
    retrieval
        .ingest(org, note("changed", "a cat eats"), at(0))
        .await?;
    server.kill().await?;
    let deleted = retrieval.delete(shared(org), gone).await?;
    ensure!(
        deleted.count == 1 && deleted.not_told.is_some(),
        "{deleted:?}"
    );
    let changed = retrieval
        .ingest(org, note("changed", "a dog eats"), at(1))
        .await?;
    ensure!(
        changed
            .not_told
            .is_some_and(|reason| reason.contains("chroma"))
    );
    let added = retrieval
        .ingest(org, note("added", "a dog barks"), at(1))
        .await?;
    ensure!(added.not_embedded.is_none());
    let found = search(&retrieval, shared(org), "dog").await?;
    ensure!(
        found.mode == Mode::Bm25 && found.hits.len() == 2,
        "{found:?}"
    );
    ensure!(found.reason.is_some_and(|reason| reason.contains("chroma")));
    ensure!(retrieval.backfill(org, 10).await?.reason.is_some());
    server.start().await?;
    // It still has what is gone, and the old version: neither is found.
    let found = search(&retrieval, shared(org), "feline").await?;
    ensure!(
        found.mode == Mode::Hybrid && found.hits.is_empty(),
        "{found:?}"
    );
    let filled = retrieval.backfill(org, 10).await?;
    ensure!(filled.told == 3 && filled.reason.is_none(), "{filled:?}");
    let mut found = titles(&retrieval, shared(org), "canine").await?;
    found.sort();
    ensure!(found == ["added", "changed"], "{found:?}");
    ensure!(
        server
            .collections()
            .await?
            .iter()
            .map(|(_, count)| count)
            .sum::<u64>()
            == 2
    );
    ensure!(retrieval.backfill(org, 10).await?.told == 0);
    Ok(())
}

#[tokio::test]
async fn another_model_has_another_collection_and_the_old_one_goes() -> Result<()> {
    let (fixture, server) = (Fixture::sqlite()?, Server::new().await?);
    let embedder = Arc::new(Thesaurus::of_animals());
    let (retrieval, org) = (open(&fixture, &server, &embedder).await?, org());
    retrieval
        .ingest(org, note("cat", "a cat sleeps"), at(0))
        .await?;
    let before = server.collections().await?;
    embedder.become_model("thesaurus-2");
    ensure!(search(&retrieval, shared(org), "feline").await?.mode == Mode::Bm25);
    ensure!(retrieval.backfill(org, 10).await?.reason.is_none());
    let after = server.collections().await?;
    ensure!(
        before.len() == 1 && after.len() == 1 && before[0].0 != after[0].0,
        "{after:?}"
    );
    ensure!(titles(&retrieval, shared(org), "feline").await? == ["cat"]);
    // Lost, or new to an installation that has documents: told of all again.
    let space = Space {
        model: "thesaurus-2".to_owned(),
        dimensions: 256,
    };
    server.client()?.drop_space(org, &space).await?;
    let found = search(&retrieval, shared(org), "feline").await?;
    ensure!(found.mode == Mode::Bm25);
    ensure!(
        found
            .reason
            .is_some_and(|reason| reason.contains("rebuild_external"))
    );
    retrieval.rebuild_external(org).await?;
    ensure!(retrieval.backfill(org, 10).await?.told == 1);
    ensure!(titles(&retrieval, shared(org), "feline").await? == ["cat"]);
    ensure!(retrieval.erase_org(org).await?.not_told.is_none());
    ensure!(server.collections().await?.is_empty());
    Ok(())
}

/// Another organisation's vectors are in another collection, whatever is asked for.
#[tokio::test]
async fn an_organisation_asks_only_its_own_collection() -> Result<()> {
    let server = Server::new().await?;
    let (client, ours, theirs) = (server.client()?, org(), org());
    let space = Space {
        model: "m".to_owned(),
        dimensions: 3,
    };
    let document = nexus_retrieval::DocumentId(uuid::Uuid::now_v7());
    let entry = |ordinal: u32| Entry {
        ordinal,
        revision: 7,
        owner: None,
        collection: Some("notes".to_owned()),
        privacy: Privacy::Open,
        // No two alike: of many that are, its index does not reach all.
        vector: vec![1.0, ordinal as f32 / 100.0, 0.0],
    };
    // More than fit into one request.
    client
        .replace(theirs, &space, document, (0..300).map(entry).collect())
        .await?;
    let scope = Scope::Documents {
        user: None,
        collections: None,
        privacy: Privacy::Open,
    };
    let query = (&space, [1.0, 0.0, 0.0].as_slice());
    ensure!(server.count(theirs).await? == 300);
    // Which of many that are equally near is for its index to say, and how many.
    ensure!(!client.nearest(theirs, query, &scope, 400).await?.is_empty());
    ensure!(client.nearest(ours, query, &scope, 5).await.is_err());
    client
        .replace(ours, &space, document, vec![entry(1)])
        .await?;
    let found = client.nearest(ours, query, &scope, 5).await?;
    ensure!(
        found.len() == 1 && found[0].ordinal == 1 && found[0].revision == 7,
        "{found:?}"
    );
    let other = Scope::Documents {
        user: None,
        collections: Some(vec!["x".to_owned()]),
        privacy: Privacy::Open,
    };
    ensure!(client.nearest(ours, query, &other, 5).await?.is_empty());
    client
        .replace(theirs, &space, document, vec![entry(0), entry(1)])
        .await?;
    ensure!(server.count(theirs).await? == 2);
    client.replace(theirs, &space, document, Vec::new()).await?;
    ensure!(server.count(theirs).await? == 0);
    ensure!(client.nearest(theirs, query, &scope, 400).await?.is_empty());
    Ok(())
}
