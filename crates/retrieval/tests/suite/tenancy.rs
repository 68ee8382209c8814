//! One organisation, one person, and only theirs.

use anyhow::{Result, ensure};
use nexus_contracts::settings::Privacy;
use nexus_contracts::{OrgId, UserId};
use nexus_retrieval::{DocumentId, Ingest, MemoryId, Page, Retrieval};

use crate::fixture::{Fixture, at, note, org, remember, search, seen_by, shared, titles, user};

/// Two documents, one of them a person's own, and a memory of that person: all about a fox.
async fn foxes(retrieval: &Retrieval, org: OrgId, person: UserId) -> Result<[DocumentId; 3]> {
    let shared = note("secret", "the red fox");
    let own = Ingest {
        owner: Some(person),
        ..note("own", "the red fox")
    };
    let (memory, likes) = (retrieval.memory(), remember("likes the red fox"));
    let kept = memory.remember(org, person, likes, at(0)).await?.id;
    Ok([
        retrieval.ingest(org, shared, at(0)).await?.id,
        retrieval.ingest(org, own, at(0)).await?.id,
        DocumentId(kept.0),
    ])
}

pub(crate) async fn another_organisation_finds_nothing(fixture: &Fixture) -> Result<()> {
    let (retrieval, ours, theirs, person) = (fixture.plain().await?, org(), org(), user());
    let (memory, ids) = (retrieval.memory(), foxes(&retrieval, theirs, person).await?);
    for viewer in [shared(ours), seen_by(ours, person)] {
        ensure!(titles(&retrieval, viewer, "fox").await?.is_empty());
        let listed = retrieval.documents(viewer, None, Page::default()).await?;
        ensure!(listed.is_empty() && retrieval.collections(viewer).await?.is_empty());
        for id in ids {
            ensure!(retrieval.text(viewer, id).await?.is_none());
            ensure!(retrieval.delete(viewer, id).await?.count == 0);
        }
    }
    let recalled = memory
        .recall(ours, person, ("fox", Privacy::Open), 10)
        .await?
        .memories;
    ensure!(recalled.is_empty() && memory.list(ours, person, Page::default()).await?.is_empty());
    for deleted in [
        memory.forget(ours, person, MemoryId(ids[2].0)).await?,
        memory.forget_all(ours, person).await?,
        retrieval.delete_collection(ours, None, "notes").await?,
        retrieval.erase_user(ours, person).await?,
        retrieval.erase_org(ours).await?,
    ] {
        ensure!(deleted.count == 0);
    }
    // The same source is another document there.
    let whale = note("secret", "the blue whale");
    ensure!(retrieval.ingest(ours, whale, at(0)).await?.id != ids[0]);
    // All of it is still there for those whose it is.
    let found = titles(&retrieval, seen_by(theirs, person), "fox").await?;
    let recalled = memory
        .recall(theirs, person, ("fox", Privacy::Open), 10)
        .await?
        .memories;
    ensure!(
        found.len() == 2 && recalled.len() == 1,
        "{found:?} {recalled:?}"
    );
    Ok(())
}

pub(crate) async fn what_is_somebodys_own_is_nobody_elses(fixture: &Fixture) -> Result<()> {
    let (retrieval, org, ada, bob) = (fixture.plain().await?, org(), user(), user());
    let own = Ingest {
        owner: Some(ada),
        ..note("ada's", "the red fox")
    };
    let id = retrieval.ingest(org, own, at(0)).await?.id;
    retrieval
        .ingest(org, note("shared", "the red fox"), at(0))
        .await?;
    let mut seen = titles(&retrieval, seen_by(org, ada), "fox").await?;
    seen.sort();
    ensure!(seen == ["ada's", "shared"], "{seen:?}");
    for viewer in [seen_by(org, bob), shared(org)] {
        ensure!(titles(&retrieval, viewer, "fox").await? == ["shared"]);
        ensure!(retrieval.text(viewer, id).await?.is_none());
        ensure!(retrieval.delete(viewer, id).await?.count == 0);
        ensure!(
            retrieval
                .documents(viewer, None, Page::default())
                .await?
                .len()
                == 1
        );
    }
    ensure!(
        retrieval
            .delete_collection(org, Some(bob), "notes")
            .await?
            .count
            == 0
    );
    // A document is not a memory, and a memory is no document.
    ensure!(
        retrieval
            .memory()
            .recall(org, ada, ("fox", Privacy::Open), 10)
            .await?
            .memories
            .is_empty()
    );
    ensure!(retrieval.delete(seen_by(org, ada), id).await?.count == 1);
    ensure!(titles(&retrieval, seen_by(org, ada), "fox").await? == ["shared"]);
    Ok(())
}

/// What one may not see shows in no figure either.
pub(crate) async fn what_others_have_changes_no_score(fixture: &Fixture) -> Result<()> {
    let (retrieval, org, ada) = (fixture.plain().await?, org(), user());
    retrieval
        .ingest(org, note("a", "the red fox"), at(0))
        .await?;
    retrieval
        .ingest(org, note("b", "a green lawn and a fox"), at(0))
        .await?;
    let before = search(&retrieval, shared(org), "red fox").await?;
    for number in 0..5 {
        let own = Ingest {
            owner: Some(ada),
            ..note(&format!("{number}"), "fox fox fox")
        };
        retrieval.ingest(org, own, at(1)).await?;
    }
    ensure!(search(&retrieval, shared(org), "red fox").await? == before);
    Ok(())
}
