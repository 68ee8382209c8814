//! The indexes in memory, as many as fit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use nexus_contracts::OrgId;
use parking_lot::{Mutex, RwLock};

use crate::index::OrgIndex;

/// The index of an organisation, and who brings it up to date.
#[derive(Default)]
pub(crate) struct Place {
    /// Held while it is brought up to date: once is enough.
    pub(crate) gate: tokio::sync::Mutex<()>,
    pub(crate) index: RwLock<OrgIndex>,
    bytes: AtomicUsize,
    /// When it was last asked for, counted in askings.
    used: AtomicU64,
}

/// The indexes of all organisations.
pub(crate) struct Cache {
    most_bytes: usize,
    places: Mutex<HashMap<OrgId, Arc<Place>>>,
    askings: AtomicU64,
}

impl Cache {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            places: Mutex::default(),
            askings: AtomicU64::default(),
        }
    }

    /// The place of an organisation's index; empty at first.
    pub(crate) fn place(&self, org: OrgId) -> Arc<Place> {
        let place = Arc::clone(self.places.lock().entry(org).or_default());
        let asking = self.askings.fetch_add(1, Ordering::Relaxed);
        place.used.store(asking, Ordering::Relaxed);
        place
    }

    /// Takes note of how large an index has become, and drops those nobody asked for longest until
    /// the others fit. Whoever searches one of them keeps it until they are done.
    pub(crate) fn settle(&self, org: OrgId, place: &Place) {
        let bytes = place.index.read().bytes();
        place.bytes.store(bytes, Ordering::Relaxed);
        let mut places = self.places.lock();
        let size = |place: &Arc<Place>| place.bytes.load(Ordering::Relaxed);
        let mut total: usize = places.values().map(size).sum();
        while total > self.most_bytes {
            let others = places.iter().filter(|(other, _)| **other != org);
            let oldest = others.min_by_key(|(_, place)| place.used.load(Ordering::Relaxed));
            let Some(oldest) = oldest.map(|(other, _)| *other) else {
                break;
            };
            if let Some(gone) = places.remove(&oldest) {
                total = total.saturating_sub(size(&gone));
                tracing::debug!(org = %oldest, "its index made room in memory");
            }
        }
    }

    /// Drops the index of an organisation.
    pub(crate) fn forget(&self, org: OrgId) {
        self.places.lock().remove(&org);
    }

    #[cfg(test)]
    fn held(&self) -> Vec<OrgId> {
        let mut held: Vec<OrgId> = self.places.lock().keys().copied().collect();
        held.sort_unstable();
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{About, Put};
    use crate::model::Kind;
    use nexus_contracts::settings::Privacy;
    use uuid::Uuid;

    fn fill(cache: &Cache, org: OrgId) {
        let place = cache.place(org);
        let about = About {
            id: Uuid::nil(),
            kind: Kind::Document,
            collection: Arc::from(""),
            owner: None,
            privacy: Privacy::Open,
            revision: 1,
        };
        let words = vec!["word".to_owned()];
        let put = Put {
            ordinal: 0,
            words,
            space: None,
            vector: None,
        };
        place.index.write().put(about, vec![put]);
        cache.settle(org, &place);
    }

    #[test]
    fn whoever_was_asked_for_longest_ago_makes_room() {
        let [a, b, c] = [1, 2, 3].map(|id| OrgId(Uuid::from_u128(id)));
        let one = {
            let cache = Cache::new(usize::MAX);
            fill(&cache, a);
            cache.place(a).bytes.load(Ordering::Relaxed)
        };
        let cache = Cache::new(one * 2);
        for org in [a, b, a, c] {
            fill(&cache, org);
        }
        assert_eq!(cache.held(), [a, c]);
        // One that is too large by itself is kept while it is in use.
        let small = Cache::new(1);
        fill(&small, a);
        fill(&small, b);
        assert_eq!(small.held(), [b]);
    }
}
