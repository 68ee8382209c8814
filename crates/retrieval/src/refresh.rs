//! Bringing the index in memory up to what the database says.
//!
//! Every change of an organisation's documents has a number, and an index knows up to which one it
//! is complete. A search reads the latest number; if the index is behind, because another replica
//! wrote, or this one did, what changed since is read. Deletions leave nothing to read, so after one
//! the documents there are get compared with the documents that are indexed.

use std::collections::HashMap;
use std::sync::Arc;

use nexus_contracts::UserId;
use nexus_store::{InList, Row, StoreError, TenantTx, Value};
use uuid::Uuid;

use crate::cache::Place;
use crate::embed::{Space, from_bytes};
use crate::index::{About, Put};
use crate::model::{Kind, count, privacy};
use crate::rows::{self, searched};
use crate::words::words;
use crate::{Error, Retrieval};

/// About how many chunks are read at a time: with vectors of 4 KiB, some 10 MiB.
const CHUNKS_AT_ONCE: usize = 2_000;

const STATE: &str = "SELECT revision, removed_at FROM retrieval_state WHERE org_id = $1";
const CHANGED: &str = "SELECT id, kind, collection, owner, privacy, title, chunks, revision \
     FROM retrieval_document WHERE org_id = $1 AND revision > $2 ORDER BY id";

/// Where vectors are searched.
#[derive(Clone, Copy)]
enum Vectors {
    Here,
    Elsewhere,
}

/// A document that has to be put in.
struct Changed {
    about: About,
    title: String,
    chunks: usize,
}

impl Retrieval {
    /// The index of the organisation of a transaction, at least as new as what the transaction sees.
    pub(crate) async fn refresh(&self, tx: &TenantTx) -> Result<Arc<Place>, Error> {
        let (org, place) = (tx.org(), self.inner.cache.place(tx.org()));
        let state = tx.query(STATE, vec![rows::org_value(org)]).await?;
        let Some(state) = state.first() else {
            return Ok(place);
        };
        let (revision, removed_at): (i64, i64) = (state.get("revision")?, state.get("removed_at")?);
        if place.index.read().revision >= revision {
            return Ok(place);
        }
        let gate = place.gate.lock().await;
        let have = place.index.read().revision;
        if have < revision {
            self.load(tx, &place, (have, removed_at)).await?;
            place.index.write().revision = revision;
            self.inner.cache.settle(org, &place);
        }
        drop(gate);
        Ok(place)
    }

    async fn load(
        &self,
        tx: &TenantTx,
        place: &Arc<Place>,
        (have, removed_at): (i64, i64),
    ) -> Result<(), Error> {
        let compare = removed_at > have;
        let since = if compare { 0 } else { have };
        let values = vec![rows::org_value(tx.org()), Value::from(since)];
        let rows = tx.query(CHANGED, values).await?;
        let changed: Result<Vec<Changed>, StoreError> = rows.iter().map(changed).collect();
        let (mut changed, indexed) = (changed?, place.index.read().revisions());
        if compare {
            let there: HashMap<Uuid, i64> = changed
                .iter()
                .map(|changed| (changed.about.id, changed.about.revision))
                .collect();
            let mut index = place.index.write();
            for id in indexed.keys().filter(|id| !there.contains_key(id)) {
                index.remove(*id);
            }
        }
        changed.retain(|changed| indexed.get(&changed.about.id) != Some(&changed.about.revision));
        while !changed.is_empty() {
            let batch = batch(&mut changed);
            self.load_batch(tx, place, batch).await?;
        }
        Ok(())
    }

    async fn load_batch(
        &self,
        tx: &TenantTx,
        place: &Arc<Place>,
        batch: Vec<Changed>,
    ) -> Result<(), Error> {
        let ids: Vec<String> = batch
            .iter()
            .map(|changed| changed.about.id.to_string())
            .collect();
        let vectors = match self.inner.external {
            None => Vectors::Here,
            Some(_) => Vectors::Elsewhere,
        };
        let vector = match vectors {
            Vectors::Here => ", vector",
            Vectors::Elsewhere => "",
        };
        let mut rows = Vec::new();
        for list in InList::chunks(&ids, 2) {
            let sql = format!(
                "SELECT document_id, ordinal, context, text, model, dimensions{vector} \
                 FROM retrieval_chunk WHERE org_id = $1 AND document_id IN {} \
                 ORDER BY document_id, ordinal",
                list.text
            );
            let org = std::iter::once(rows::org_value(tx.org()));
            rows.extend(tx.query(&sql, org.chain(list.values).collect()).await?);
        }
        let place = Arc::clone(place);
        // Finding words is work for a processor, not for whoever serves others meanwhile.
        let work = move || put_in(&place, batch, &rows, vectors);
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Error::Interrupted(error.to_string()))?
    }
}

/// The next documents, of as many chunks as are read at a time.
fn batch(changed: &mut Vec<Changed>) -> Vec<Changed> {
    let (mut batch, mut chunks) = (Vec::new(), 0);
    while let Some(next) = changed.pop() {
        chunks += next.chunks;
        batch.push(next);
        if chunks >= CHUNKS_AT_ONCE {
            break;
        }
    }
    batch
}

fn put_in(place: &Place, batch: Vec<Changed>, rows: &[Row], vectors: Vectors) -> Result<(), Error> {
    let titles: HashMap<Uuid, &str> = batch
        .iter()
        .map(|changed| (changed.about.id, changed.title.as_str()))
        .collect();
    let mut puts: HashMap<Uuid, Vec<Put>> = HashMap::new();
    for row in rows {
        let id = rows::uuid(row, "document_id")?;
        let title = titles.get(&id).copied().unwrap_or_default();
        puts.entry(id).or_default().push(put(row, title, vectors)?);
    }
    let mut index = place.index.write();
    for changed in batch {
        let chunks = puts.remove(&changed.about.id).unwrap_or_default();
        index.put(changed.about, chunks);
    }
    Ok(())
}

fn changed(row: &Row) -> Result<Changed, StoreError> {
    let kind: String = row.get("kind")?;
    let collection: String = row.get("collection")?;
    let about = About {
        id: rows::uuid(row, "id")?,
        kind: Kind::parse(&kind),
        collection: Arc::from(collection),
        owner: rows::optional_uuid(row, "owner")?.map(UserId),
        privacy: privacy(row)?,
        revision: row.get("revision")?,
    };
    Ok(Changed {
        about,
        title: row.get("title")?,
        chunks: count(row.get("chunks")?),
    })
}

fn put(row: &Row, title: &str, vectors: Vectors) -> Result<Put, StoreError> {
    let (context, text): (String, String) = (row.get("context")?, row.get("text")?);
    let model: Option<String> = row.get("model")?;
    let dimensions: Option<i64> = row.get("dimensions")?;
    let mut space = model.zip(dimensions).map(|(model, dimensions)| Space {
        model,
        dimensions: count(dimensions),
    });
    let mut vector = None;
    if let (Vectors::Here, Some(of)) = (vectors, &space) {
        let bytes: Option<Vec<u8>> = row.get("vector")?;
        vector = bytes.and_then(|bytes| from_bytes(&bytes, of.dimensions));
        if vector.is_none() {
            // Of another size than it says: as if there were none.
            space = None;
        }
    }
    Ok(Put {
        ordinal: u32::try_from(row.get::<i64>("ordinal")?).unwrap_or(u32::MAX),
        words: words(&searched(title, &context, &text)),
        space,
        vector,
    })
}
