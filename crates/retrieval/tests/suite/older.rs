//! What an older program left behind.

use anyhow::{Result, ensure};
use nexus_contracts::settings::Privacy::{LocalOnly, Open, Sensitive};
use nexus_contracts::{OrgId, UserId, derive_id};
use nexus_retrieval::{DocumentId, Retrieval};
use nexus_store::{Store, Value};
use uuid::Uuid;

use crate::fixture::{Fixture, at, org, seen_by, user};
use crate::privacy::{said, search};

/// A row as it was written when rows did not say where they may go.
async fn old_row(
    store: &Store,
    org: OrgId,
    (id, kind, owner, collection): Old<'_>,
) -> Result<Uuid> {
    let tx = store.begin(org).await?;
    let org = || Value::from(org.to_string());
    let document = "INSERT INTO retrieval_document (org_id, id, kind, collection, owner, title, source, \
         content_type, sha256, bytes, chunks, untrusted, added_at, revision) \
         VALUES ($1, $2, $3, $4, $5, '', '', 'text/plain', '', 3, 1, 0, 0, 1)";
    let values = vec![
        org(),
        Value::from(id.to_string()),
        Value::from(kind),
        Value::from(collection),
        Value::from(owner.map(|owner| owner.to_string())),
    ];
    tx.execute(document, values).await?;
    let chunk = "INSERT INTO retrieval_chunk (org_id, document_id, ordinal, start_byte, end_byte, \
         context, text) VALUES ($1, $2, 0, 0, 3, '', 'fox')";
    tx.execute(chunk, vec![org(), Value::from(id.to_string())])
        .await?;
    tx.commit().await?;
    Ok(id)
}

type Old<'a> = (Uuid, &'a str, Option<UserId>, &'a str);

pub(crate) async fn rows_that_say_no_privacy_are_read_strictly(fixture: &Fixture) -> Result<()> {
    let (org, ada) = (org(), user());
    let old = fixture.store_of(&Retrieval::MIGRATIONS[..1]).await?;
    let tx = old.begin(org).await?;
    for sql in [
        "INSERT INTO retrieval_state (org_id, revision, removed_at) VALUES ($1, 1, 0)",
        "INSERT INTO retrieval_space (org_id, model, dimensions) VALUES ($1, 'm', 2)",
    ] {
        tx.execute(sql, vec![Value::from(org.to_string())]).await?;
    }
    tx.commit().await?;
    let mut ids = Vec::new();
    for row in [
        (Uuid::now_v7(), "document", None, "notes"),
        (Uuid::now_v7(), "document", Some(ada), "documents"),
        (Uuid::now_v7(), "document", Some(ada), "notes"),
        (Uuid::now_v7(), "memory", Some(ada), ""),
    ] {
        ids.push(old_row(&old, org, row).await?);
    }
    old.close().await;
    let retrieval = fixture.plain().await?;
    let viewer = seen_by(org, ada);
    let open = search(&retrieval, (viewer, Open), "fox", 9).await?;
    let mut found: Vec<DocumentId> = open.hits.iter().map(|hit| hit.document).collect();
    found.sort_unstable();
    ensure!(
        found == [DocumentId(ids[0]), DocumentId(ids[1])] && open.withheld == 1,
        "{open:?}"
    );
    ensure!(
        search(&retrieval, (viewer, LocalOnly), "fox", 9)
            .await?
            .hits
            .len()
            == 3
    );
    let recalled = retrieval
        .memory()
        .recall(org, ada, ("fox", Sensitive), 9)
        .await?;
    ensure!(
        recalled.memories.is_empty() && recalled.withheld == 1,
        "{recalled:?}"
    );
    // Another database of vectors hears of all of it.
    let store = fixture.store().await?;
    let sql = "SELECT document_id FROM retrieval_pending WHERE org_id = $1";
    let pending = store
        .read(org)
        .await?
        .query(sql, vec![Value::from(org.to_string())])
        .await?;
    ensure!(pending.len() == 4);
    Ok(())
}

pub(crate) async fn a_memory_is_known_by_the_name_it_had(fixture: &Fixture) -> Result<()> {
    let (org, ada) = (org(), user());
    let old = fixture.store_of(&Retrieval::MIGRATIONS[..1]).await?;
    // When there was one for all privacies.
    let parts = [
        b"memory".as_slice(),
        org.0.as_bytes(),
        ada.0.as_bytes(),
        b"fox",
    ];
    let id = derive_id(parts);
    old_row(&old, org, (id, "memory", Some(ada), "")).await?;
    old.close().await;
    let memory = fixture.plain().await?.memory();
    let strict = memory.remember(org, ada, said(LocalOnly, "Fox!"), at(0));
    let strict = strict.await?;
    ensure!(strict.merged && strict.id.0 == id, "{strict:?}");
    let open = memory.remember(org, ada, said(Open, "Fox!"), at(0));
    let open = open.await?;
    ensure!(!open.merged && open.id != strict.id, "{open:?}");
    let left = memory.recall(org, ada, ("fox", Open), 9).await?;
    ensure!(left.memories.len() == 1 && left.withheld == 1, "{left:?}");
    Ok(())
}
