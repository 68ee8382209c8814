//! Which stored messages are to be published now: the schedule of the ingress outbox.
//!
//! Pure: time is passed in. A message leaves when the orchestrator has answered it. Of each
//! conversation only the oldest unanswered one is ever published, so that the order on the bus is
//! the order of first storage. A branch stands in line in both conversations it is about.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use nexus_contracts::{ConversationId, OrgId, RunId, Timestamp};

/// Names one unanswered event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The organisation.
    pub org: OrgId,
    /// The run it starts, or would start: derived from its id.
    pub run: RunId,
}

/// The conversations among whose events one has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// The one it is about or opens.
    pub conversation: ConversationId,
    /// The one a branch leaves: what was asked there before goes first.
    pub parent: Option<ConversationId>,
}

impl From<ConversationId> for Lanes {
    fn from(conversation: ConversationId) -> Self {
        Self {
            conversation,
            parent: None,
        }
    }
}

impl Lanes {
    fn each(self, org: OrgId) -> impl Iterator<Item = Lane> {
        let all = [Some(self.conversation), self.parent];
        all.into_iter().flatten().map(move |lane| (org, lane))
    }
}

type Lane = (OrgId, ConversationId);

/// Doubling waits.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The first wait, in milliseconds.
    pub first_ms: i64,
    /// The longest wait, in milliseconds.
    pub longest_ms: i64,
}

impl Backoff {
    /// How long to wait after this many publications, in milliseconds.
    #[must_use]
    pub fn after(self, published: u32) -> i64 {
        let doublings = published.saturating_sub(1).min(30);
        self.first_ms
            .saturating_mul(1_i64 << doublings)
            .clamp(1, self.longest_ms.max(1))
    }
}

#[derive(Debug)]
struct Item<T> {
    lanes: Lanes,
    published: u32,
    due: Option<Timestamp>,
    load: T,
}

/// The schedule; `T` is what gets published.
#[derive(Debug)]
pub struct Outbox<T> {
    backoff: Backoff,
    items: BTreeMap<Key, Item<T>>,
    lanes: BTreeMap<Lane, VecDeque<Key>>,
    due: BTreeSet<(Timestamp, Key)>,
}

/// One that is to be published now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<T> {
    /// Its name.
    pub key: Key,
    /// How often it was published before.
    pub published: u32,
    /// What to publish.
    pub load: T,
}

impl<T: Clone> Outbox<T> {
    /// An empty one.
    #[must_use]
    pub const fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            items: BTreeMap::new(),
            lanes: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Puts one in, behind all of its conversations. One that is already there stays as it is.
    pub fn push(&mut self, key: Key, lanes: Lanes, load: T, now: Timestamp) {
        if self.items.contains_key(&key) {
            return;
        }
        for lane in lanes.each(key.org) {
            self.lanes.entry(lane).or_default().push_back(key);
        }
        let item = Item {
            lanes,
            published: 0,
            due: None,
            load,
        };
        self.items.insert(key, item);
        self.schedule_if_first(key, now);
    }

    /// Whether it is there.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.items.contains_key(key)
    }

    /// Up to `limit` whose time has come; each is scheduled anew at once, further away every time.
    pub fn take_due(&mut self, now: Timestamp, limit: usize) -> Vec<Due<T>> {
        let keys: Vec<Key> = self
            .due
            .iter()
            .take_while(|(due, _)| *due <= now)
            .take(limit)
            .map(|d| d.1)
            .collect();
        let mut taken = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(item) = self.items.get_mut(&key) else {
                continue;
            };
            taken.push(Due {
                key,
                published: item.published,
                load: item.load.clone(),
            });
            item.published = item.published.saturating_add(1);
            let again = now.plus_millis(self.backoff.after(item.published));
            self.schedule(key, again);
        }
        taken
    }

    /// The bus refused these: they are due again, and were not published.
    pub fn put_back(&mut self, refused: &[Due<T>], now: Timestamp) {
        for due in refused {
            if let Some(item) = self.items.get_mut(&due.key) {
                item.published = due.published;
                self.schedule(due.key, now);
            }
        }
    }

    /// Takes out one that was answered; the next of its conversations become due. Returns whether
    /// it was there.
    pub fn settle(&mut self, key: &Key, now: Timestamp) -> bool {
        let Some(item) = self.items.remove(key) else {
            return false;
        };
        if let Some(due) = item.due {
            self.due.remove(&(due, *key));
        }
        for lane in item.lanes.each(key.org) {
            let Some(line) = self.lanes.get_mut(&lane) else {
                continue;
            };
            line.retain(|other| other != key);
            match line.front().copied() {
                Some(next) => self.schedule_if_first(next, now),
                None => drop(self.lanes.remove(&lane)),
            }
        }
        true
    }

    /// Everything that waits for an answer is due now, as if never published: the bus lost it.
    pub fn all_due(&mut self, now: Timestamp) {
        let waiting: Vec<Key> = self.due.iter().map(|(_, key)| *key).collect();
        for key in waiting {
            if let Some(item) = self.items.get_mut(&key) {
                item.published = 0;
            }
            self.schedule(key, now);
        }
    }

    /// When to look again.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// How many wait for an answer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Makes one due that nothing goes before any more.
    fn schedule_if_first(&mut self, key: Key, now: Timestamp) {
        let Some(item) = self.items.get(&key).filter(|item| item.due.is_none()) else {
            return;
        };
        let mut lanes = item.lanes.each(key.org);
        let is_first = |lane| {
            self.lanes
                .get(&lane)
                .is_some_and(|line| line.front() == Some(&key))
        };
        if lanes.all(is_first) {
            self.schedule(key, now);
        }
    }

    fn schedule(&mut self, key: Key, at: Timestamp) {
        let Some(item) = self.items.get_mut(&key) else {
            return;
        };
        if let Some(before) = item.due.replace(at) {
            self.due.remove(&(before, key));
        }
        self.due.insert((at, key));
    }
}
