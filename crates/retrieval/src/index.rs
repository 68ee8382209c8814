//! The index of one organisation, in memory. Pure: what it holds is what it was given.
//!
//! It holds no text: only which words a chunk has and, unless vectors are kept elsewhere, its vector.
//! Every figure of a search is counted over what the one who asks may see, so that nothing about the
//! rest shows in a score or an order.

mod coverage;
mod fuse;
mod lexical;
mod matrix;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nexus_contracts::UserId;
use nexus_contracts::settings::Privacy;
use uuid::Uuid;

use crate::embed::Space;
use crate::model::Kind;
use crate::words::words;
use lexical::Lexical;
use matrix::Matrix;

pub(crate) use coverage::Coverage;
pub(crate) use fuse::{Fused, fuse};

/// Whose a document is and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) collection: Arc<str>,
    pub(crate) owner: Option<UserId>,
    pub(crate) privacy: Privacy,
    /// The change that made it what it is.
    pub(crate) revision: i64,
}

/// A chunk as it is put in.
pub(crate) struct Put {
    pub(crate) ordinal: u32,
    /// Of title, context and text.
    pub(crate) words: Vec<String>,
    /// What its vector is comparable with, if it has one.
    pub(crate) space: Option<Space>,
    /// The vector, unless it is kept elsewhere.
    pub(crate) vector: Option<Vec<f32>>,
}

/// What is searched: for whom, and in a conversation of which privacy.
#[derive(Clone, Debug)]
pub(crate) enum Within {
    /// Documents that are shared or this person's, of these collections or of all.
    Documents {
        user: Option<UserId>,
        collections: Option<Vec<String>>,
        privacy: Privacy,
    },
    /// What is remembered of a person.
    Memories { user: UserId, privacy: Privacy },
}

impl Within {
    /// How private the conversation is in which it is searched.
    pub(crate) const fn privacy(&self) -> Privacy {
        match self {
            Self::Documents { privacy, .. } | Self::Memories { privacy, .. } => *privacy,
        }
    }

    fn holds(&self, about: &About) -> bool {
        let wanted = match self {
            Self::Documents {
                collections: Some(names),
                ..
            } => names.iter().any(|name| **name == *about.collection),
            _ => true,
        };
        wanted && self.is_theirs(about) && about.privacy <= self.privacy()
    }

    /// Whether it is kept from a conversation only because it is stricter. Of every collection: one that
    /// is named would be an answer about what is kept.
    fn withholds(&self, about: &About) -> bool {
        self.is_theirs(about) && about.privacy > self.privacy()
    }

    fn is_theirs(&self, about: &About) -> bool {
        match self {
            Self::Documents { user, .. } => {
                about.kind == Kind::Document && (about.owner.is_none() || about.owner == *user)
            }
            Self::Memories { user, .. } => about.kind == Kind::Memory && about.owner == Some(*user),
        }
    }
}

/// Names a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) document: Uuid,
    pub(crate) ordinal: u32,
}

/// A chunk and how well it fits; larger is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scored {
    pub(crate) key: Key,
    /// The document's revision.
    pub(crate) revision: i64,
    pub(crate) score: f64,
}

struct Document {
    about: About,
    /// Its chunks, in order.
    slots: Vec<u32>,
}

/// A place for a chunk; used again when the chunk is gone.
struct Slot {
    document: u32,
    ordinal: u32,
    /// The space of its vector, wherever that is kept.
    space: Option<Arc<Space>>,
}

/// All that can be found of an organisation.
#[derive(Default)]
pub(crate) struct OrgIndex {
    /// Up to which change it is complete.
    pub(crate) revision: i64,
    places: HashMap<Uuid, u32>,
    documents: Vec<Option<Document>>,
    slots: Vec<Option<Slot>>,
    free_documents: Vec<u32>,
    free_slots: Vec<u32>,
    lexical: Lexical,
    matrices: BTreeMap<Arc<Space>, Matrix>,
}

impl OrgIndex {
    /// Puts a document in, in the place of what it was before.
    pub(crate) fn put(&mut self, about: About, chunks: Vec<Put>) {
        self.remove(about.id);
        let document = take(&mut self.free_documents, &mut self.documents);
        self.places.insert(about.id, document);
        let mut slots = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let slot = take(&mut self.free_slots, &mut self.slots);
            self.lexical.add(slot, chunk.words);
            let space = chunk.space.map(|space| self.space(space));
            if let (Some(space), Some(vector)) = (&space, chunk.vector) {
                let matrix = self.matrices.entry(Arc::clone(space)).or_default();
                matrix.add(slot, &vector);
            }
            set(
                &mut self.slots,
                slot,
                Slot {
                    document,
                    ordinal: chunk.ordinal,
                    space,
                },
            );
            slots.push(slot);
        }
        set(&mut self.documents, document, Document { about, slots });
    }

    /// Takes a document out, with every word only it had.
    pub(crate) fn remove(&mut self, id: Uuid) {
        let Some(place) = self.places.remove(&id) else {
            return;
        };
        let document = self
            .documents
            .get_mut(place as usize)
            .and_then(Option::take);
        let slots = document.map(|document| document.slots).unwrap_or_default();
        self.lexical.remove(&slots);
        for slot in &slots {
            let old = self.slots.get_mut(*slot as usize).and_then(Option::take);
            if let Some(space) = old.and_then(|old| old.space)
                && let Some(matrix) = self.matrices.get_mut(&space)
            {
                matrix.remove(*slot);
                if matrix.is_empty() {
                    self.matrices.remove(&space);
                }
            }
        }
        self.free_slots.extend(slots);
        self.free_documents.push(place);
    }

    /// The same name for the same space.
    fn space(&self, space: Space) -> Arc<Space> {
        match self.matrices.get_key_value(&space) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(space),
        }
    }

    /// The documents there are, with their revisions.
    pub(crate) fn revisions(&self) -> HashMap<Uuid, i64> {
        let documents = self.documents.iter().flatten();
        documents
            .map(|document| (document.about.id, document.about.revision))
            .collect()
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let vectors: usize = self.matrices.values().map(Matrix::bytes).sum();
        self.documents.len() * 160 + self.slots.len() * 48 + self.lexical.bytes() + vectors
    }

    /// How many chunks within can be compared with vectors of a space, and how many cannot.
    pub(crate) fn coverage(&self, within: &Within, space: &Space) -> Coverage {
        let seen = self.seen(within);
        let slots = self.slots.iter().flatten();
        let mut coverage = Coverage::default();
        for slot in slots.filter(|slot| is(&seen, slot.document)) {
            match &slot.space {
                Some(has) if **has == *space => coverage.fit += 1,
                Some(_) => coverage.others += 1,
                None => coverage.none += 1,
            }
        }
        coverage
    }

    /// Whether any chunk within has a vector.
    pub(crate) fn has_vectors(&self, within: &Within) -> bool {
        let seen = self.seen(within);
        let mut slots = self.slots.iter().flatten();
        slots.any(|slot| slot.space.is_some() && is(&seen, slot.document))
    }

    /// How many documents or memories are kept from this search because they are stricter. Whatever is
    /// asked for: whether they fit would be an answer about what they say.
    pub(crate) fn withheld(&self, within: &Within) -> usize {
        let documents = self.documents.iter().flatten();
        documents
            .filter(|document| within.withholds(&document.about))
            .count()
    }

    /// The chunks with the most telling words of a query, best first.
    pub(crate) fn lexical(&self, query: &str, within: &Within, most: usize) -> Vec<Scored> {
        let seen = self.seen(within);
        let seen = |slot: u32| self.slot(slot).is_some_and(|slot| is(&seen, slot.document));
        self.best(self.lexical.search(words(query), &seen), most)
    }

    /// The chunks whose vectors point most nearly the same way, best first.
    pub(crate) fn nearest(
        &self,
        (space, query): (&Space, &[f32]),
        within: &Within,
        most: usize,
    ) -> Vec<Scored> {
        let Some(matrix) = self.matrices.get(space) else {
            return Vec::new();
        };
        let seen = self.seen(within);
        let seen = |slot: u32| self.slot(slot).is_some_and(|slot| is(&seen, slot.document));
        self.best(matrix.search(query, &seen), most)
    }

    /// What was found elsewhere, as far as it is here, in this revision, and within.
    pub(crate) fn known(&self, found: Vec<Scored>, within: &Within) -> Vec<Scored> {
        let is_known = |scored: &Scored| {
            let place = self.places.get(&scored.key.document);
            let document = place.and_then(|place| self.documents.get(*place as usize)?.as_ref());
            document.is_some_and(|document| {
                document.about.revision == scored.revision
                    && (scored.key.ordinal as usize) < document.slots.len()
                    && within.holds(&document.about)
            })
        };
        found.into_iter().filter(is_known).collect()
    }

    /// Of each document, whether it is within.
    fn seen(&self, within: &Within) -> Vec<bool> {
        let holds = |document: &Option<Document>| {
            document
                .as_ref()
                .is_some_and(|document| within.holds(&document.about))
        };
        self.documents.iter().map(holds).collect()
    }

    fn slot(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// The best of them in order. Equal ones are in the order of their names, which does not depend
    /// on when they came.
    fn best(&self, found: Vec<(u32, f64)>, most: usize) -> Vec<Scored> {
        let scored = |(slot, score): (u32, f64)| {
            let slot = self.slot(slot)?;
            let document = self.documents.get(slot.document as usize)?.as_ref()?;
            let key = Key {
                document: document.about.id,
                ordinal: slot.ordinal,
            };
            let revision = document.about.revision;
            Some(Scored {
                key,
                revision,
                score,
            })
        };
        let mut all: Vec<Scored> = found.into_iter().filter_map(scored).collect();
        let order =
            |a: &Scored, b: &Scored| b.score.total_cmp(&a.score).then_with(|| a.key.cmp(&b.key));
        if most == 0 {
            return Vec::new();
        }
        if all.len() > most {
            all.select_nth_unstable_by(most - 1, order);
            all.truncate(most);
        }
        all.sort_unstable_by(order);
        all
    }
}

fn is(seen: &[bool], at: u32) -> bool {
    seen.get(at as usize).copied().unwrap_or_default()
}

/// A free place, or a new one.
fn take<T>(free: &mut Vec<u32>, places: &mut Vec<Option<T>>) -> u32 {
    free.pop().unwrap_or_else(|| {
        places.push(None);
        u32::try_from(places.len() - 1).unwrap_or(u32::MAX)
    })
}

fn set<T>(places: &mut [Option<T>], at: u32, value: T) {
    if let Some(place) = places.get_mut(at as usize) {
        *place = Some(value);
    }
}

#[cfg(test)]
mod tests;
