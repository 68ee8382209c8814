//! What everything else here is called on.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_contracts::OrgId;
use nexus_contracts::settings::Privacy;
use nexus_store::{Migration, Store};
use parking_lot::Mutex;

use crate::cache::Cache;
use crate::embed::{Embedder, Space, TextKind, embed};
use crate::external::VectorIndex;
use crate::memory::Memory;
use crate::migrations::MIGRATIONS;
use crate::{EmbedError, Limits};

/// Documents of organisations, searched by words and by meaning. Cheap to clone; clones share what
/// they have indexed.
#[derive(Clone)]
pub struct Retrieval {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) external: Option<Arc<dyn VectorIndex>>,
    pub(crate) cache: Cache,
    /// Of the vectors that came last, of texts of each privacy: not every model may be told all.
    spaces: Mutex<BTreeMap<Privacy, Space>>,
}

impl Retrieval {
    /// The tables: one more set of a service's store, `store.migrate("retrieval",
    /// Retrieval::MIGRATIONS)`.
    pub const MIGRATIONS: &'static [Migration] = MIGRATIONS;

    /// Retrieval over a store that has the tables. Without an embedder it searches by words alone;
    /// without `external`, vectors are searched in memory, all of them.
    #[must_use]
    pub fn new(
        store: Store,
        limits: Limits,
        embedder: Option<Arc<dyn Embedder>>,
        external: Option<Arc<dyn VectorIndex>>,
    ) -> Self {
        let cache = Cache::new(limits.index_bytes);
        Self {
            inner: Arc::new(Inner {
                store,
                limits,
                embedder,
                external,
                cache,
                spaces: Mutex::default(),
            }),
        }
    }

    /// What is remembered of people.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory::new(self.clone())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Vectors of texts, as many at a time as the embedder is asked for.
    pub(crate) async fn vectors(
        &self,
        org: OrgId,
        texts: Vec<String>,
        (kind, privacy): (TextKind, Privacy),
    ) -> Result<(Space, Vec<Vec<f32>>), EmbedError> {
        let Some(embedder) = &self.inner.embedder else {
            return Err(EmbedError::Unavailable("none is configured".to_owned()));
        };
        let mut space: Option<Space> = None;
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.limits().embed_batch.max(1)) {
            let (of, more) = embed(embedder.as_ref(), org, batch.to_vec(), (kind, privacy)).await?;
            if space.as_ref().is_some_and(|space| *space != of) {
                let reason = "the model changed between two batches; try again";
                return Err(EmbedError::Unavailable(reason.to_owned()));
            }
            space = Some(of);
            vectors.extend(more);
        }
        let none = || EmbedError::Unavailable("it was asked for nothing".to_owned());
        let space = space.ok_or_else(none)?;
        self.inner.spaces.lock().insert(privacy, space.clone());
        Ok((space, vectors))
    }

    /// What the embedder's vectors of texts of this privacy were last comparable with.
    pub(crate) fn space(&self, privacy: Privacy) -> Option<Space> {
        self.inner.spaces.lock().get(&privacy).cloned()
    }
}
