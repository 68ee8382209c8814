//! What Chroma is told, and what it says. Pure.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::DocumentId;
use crate::external::{Entry, Near, Scope};
use crate::model::rank;

/// A collection, as far as it matters.
#[derive(Deserialize)]
pub(super) struct Collection {
    pub(super) id: String,
}

/// What `query` answers: a list for each vector that was asked with, and that is one.
#[derive(Deserialize)]
pub(super) struct QueryResponse {
    #[serde(default)]
    distances: Option<Vec<Vec<Option<f64>>>>,
    #[serde(default)]
    metadatas: Option<Vec<Vec<Option<Metadata>>>>,
}

#[derive(Deserialize)]
struct Metadata {
    document: String,
    ordinal: u32,
    revision: i64,
}

/// What a vector is of. Nothing is left out: a filter finds only what is there.
pub(super) fn metadata(document: DocumentId, entry: &Entry) -> Value {
    json!({
        "document": document.to_string(),
        "ordinal": entry.ordinal,
        "revision": entry.revision,
        "owner": entry.owner.map(|owner| owner.to_string()).unwrap_or_default(),
        "memory": entry.collection.is_none(),
        "collection": entry.collection.as_deref().unwrap_or_default(),
        "privacy": rank(entry.privacy),
    })
}

/// Only what is searched.
pub(super) fn filter(scope: &Scope) -> Value {
    match scope {
        Scope::Memories { user, privacy } => json!({ "$and": [
            { "memory": true },
            { "owner": user.to_string() },
            { "privacy": { "$lte": rank(*privacy) } },
        ] }),
        Scope::Documents {
            user,
            collections,
            privacy,
        } => {
            let mut owners = vec![String::new()];
            owners.extend(user.map(|user| user.to_string()));
            let mut all = vec![
                json!({ "memory": false }),
                json!({ "owner": { "$in": owners } }),
                json!({ "privacy": { "$lte": rank(*privacy) } }),
            ];
            if let Some(collections) = collections {
                all.push(json!({ "collection": { "$in": collections } }));
            }
            json!({ "$and": all })
        }
    }
}

/// Distances are one less the cosine. What cannot be read is left out.
pub(super) fn near(response: QueryResponse) -> Vec<Near> {
    let first = |lists: Option<Vec<Vec<Option<f64>>>>| lists.into_iter().flatten().next();
    let distances = first(response.distances).unwrap_or_default();
    let metadatas = response.metadatas.into_iter().flatten().next();
    let pairs = distances.into_iter().zip(metadatas.unwrap_or_default());
    let near = pairs.filter_map(|(distance, metadata)| {
        let (distance, metadata) = (distance?, metadata?);
        Some(Near {
            document: metadata.document.parse().ok()?,
            ordinal: metadata.ordinal,
            revision: metadata.revision,
            cosine: 1.0 - distance,
        })
    });
    near.filter(|near| near.cosine > 0.0).collect()
}
