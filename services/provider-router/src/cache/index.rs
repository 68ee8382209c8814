//! The last messages that were answered, by their vectors: in memory, of this replica, and no text.

use std::collections::{BTreeMap, HashMap};

use nexus_contracts::{ConversationId, OrgId, Timestamp};

use crate::cache::guard::{Difference, Features};
use crate::cache::key::{Key, Scope};

/// A message that was answered.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Finds the answer.
    pub key: Key,
    /// The direction of its vector.
    pub direction: Direction,
    /// What the guard compares.
    pub features: Features,
    /// Whose conversation it is from: it is forgotten with that.
    pub about: Option<(OrgId, ConversationId)>,
    /// From then on it is forgotten.
    pub expires_at: Timestamp,
}

/// A vector of length 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction(Box<[f32]>);

impl Direction {
    /// The direction of this vector; `None` when it has none.
    #[must_use]
    pub fn of(vector: &[f32]) -> Option<Self> {
        let squares = vector.iter().map(|number| number * number);
        let norm = squares.sum::<f32>().sqrt();
        let has_one = norm.is_finite() && norm > f32::EPSILON;
        has_one.then(|| Self(vector.iter().map(|number| number / norm).collect()))
    }

    /// The cosine of the angle between the two; `None` for vectors of different lengths.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> Option<f32> {
        let alike = self.0.len() == other.0.len();
        let products = self.0.iter().zip(&other.0).map(|(one, other)| one * other);
        alike.then(|| products.sum())
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A message that means the same.
    Alike {
        /// Finds its answer.
        key: Key,
        /// How near it is.
        similarity: f32,
    },
    /// One was near enough, and the guard sees a difference: of the nearest this one.
    Guarded(Difference),
    /// None is near enough.
    Nothing,
}

/// The entries, of which those that were not needed for longest go first when there are too many.
#[derive(Debug)]
pub struct Index {
    most: usize,
    rooms: HashMap<Scope, Vec<(u64, Entry)>>,
    /// When each was last needed.
    used: BTreeMap<u64, (Scope, Key)>,
    turn: u64,
}

impl Index {
    /// One that holds this many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            rooms: HashMap::new(),
            used: BTreeMap::new(),
            turn: 0,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// The nearest in this room that is at least `least` near and in which the guard sees no difference.
    pub fn find(
        &mut self,
        room: &Scope,
        (direction, features): (&Direction, &Features),
        least: f32,
        now: Timestamp,
    ) -> Found {
        self.drop_where(room, |entry| entry.expires_at <= now);
        let entries = self.rooms.get(room).map(Vec::as_slice).unwrap_or_default();
        let near = entries.iter().filter_map(|(_, entry)| {
            let similarity = entry.direction.cosine(direction)?;
            (similarity >= least).then_some((similarity, entry))
        });
        let mut near: Vec<(f32, &Entry)> = near.collect();
        near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let mut difference = None;
        for (similarity, entry) in near {
            match features.agree(&entry.features) {
                Ok(()) => {
                    let key = entry.key;
                    self.touch(room, key);
                    return Found::Alike { key, similarity };
                }
                Err(seen) => difference = difference.or(Some(seen)),
            }
        }
        difference.map_or(Found::Nothing, Found::Guarded)
    }

    /// One more; in the place of the one with the same key.
    pub fn add(&mut self, room: Scope, entry: Entry) {
        let key = entry.key;
        self.drop_where(&room, |other| other.key == key);
        self.turn += 1;
        self.used.insert(self.turn, (room, key));
        self.rooms.entry(room).or_default().push((self.turn, entry));
        while self.used.len() > self.most {
            let Some((_, (room, key))) = self.used.pop_first() else {
                return;
            };
            self.drop_where(&room, |entry| entry.key == key);
        }
    }

    /// Its answer is gone.
    pub fn forget(&mut self, room: &Scope, key: Key) {
        self.drop_where(room, |entry| entry.key == key);
    }

    /// A conversation is gone.
    pub fn forget_conversation(&mut self, org: OrgId, conversation: ConversationId) {
        let about = Some((org, conversation));
        let rooms: Vec<Scope> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.drop_where(&room, |entry| entry.about == about);
        }
    }

    fn touch(&mut self, room: &Scope, key: Key) {
        self.turn += 1;
        let entries = self.rooms.get_mut(room).into_iter().flatten();
        for (turn, _) in entries.filter(|(_, entry)| entry.key == key) {
            self.used.remove(turn);
            *turn = self.turn;
            self.used.insert(self.turn, (*room, key));
        }
    }

    fn drop_where(&mut self, room: &Scope, over: impl Fn(&Entry) -> bool) {
        let Some(entries) = self.rooms.get_mut(room) else {
            return;
        };
        entries.retain(|(turn, entry)| {
            let over = over(entry);
            if over {
                self.used.remove(turn);
            }
            !over
        });
        if entries.is_empty() {
            self.rooms.remove(room);
        }
    }
}

#[cfg(test)]
mod tests;
