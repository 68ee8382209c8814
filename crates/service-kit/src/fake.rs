//! A bus in memory for the tests of the loops: every outage and theft happens when a test says so,
//! and paused time is obeyed. What real backends do is proved by their conformance suite.

mod backend;
mod group;
mod tables;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::{
    Action, Blobs, Bus, BusError, Entry, EntryId, LeaseToken, Leased, LiveEntry, Outgoing, Record,
};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::{Clock, Deps, Stores};

/// The bus, and the hands that break it.
#[derive(Clone, Default)]
pub(crate) struct FakeBus {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Everything ever stored, by channel.
    pub(crate) channels: BTreeMap<String, Vec<Entry>>,
    /// What the one group of a test has before it.
    queue: VecDeque<Queued>,
    leased: HashMap<LeaseToken, (String, Leased)>,
    tokens: u64,
    /// Each call of `settle` that was carried out: what became of which entry.
    pub(crate) settled: Vec<Vec<(EntryId, Action)>>,
    /// What was trimmed, and what was to be kept.
    pub(crate) trimmed: Vec<(String, Duration)>,
    /// How often leases were extended.
    pub(crate) extended: usize,
    /// Says no to joining, reading and settling while set.
    pub(crate) down: Option<BusError>,
    /// Says no to settling while set.
    pub(crate) settling_fails: Option<BusError>,
    /// Every live entry, by topic.
    pub(crate) live: HashMap<String, Vec<LiveEntry>>,
    /// The tables.
    pub(crate) tables: tables::Tables,
}

struct Queued {
    channel: String,
    entry: Entry,
    attempts: u32,
    due: Instant,
}

impl FakeBus {
    /// Deps over this bus. The folder holds blobs and must outlive them.
    pub(crate) fn deps(&self, folder: &tempfile::TempDir) -> Deps {
        let blobs = Blobs::local(folder.path(), 64 * 1024).unwrap();
        let bus = Bus::over(Arc::new(self.clone()), blobs);
        Deps::new(
            bus,
            Clock::system(),
            Stores::new("sqlite::memory:").unwrap(),
        )
    }

    /// Looks or reaches inside.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Lets readers look again after a change from outside.
    pub(crate) fn poke(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until something holds; fails after a minute of (paused) time.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let waited = tokio::time::timeout(Duration::from_mins(1), async {
            loop {
                let changed = self.changed.notified();
                if holds(&self.state()) {
                    return;
                }
                // Some conditions live outside of the bus: look again now and then.
                drop(tokio::time::timeout(Duration::from_millis(20), changed).await);
            }
        });
        assert!(waited.await.is_ok(), "never happened: {what}");
    }

    /// Puts a record in a channel as one that was tried before.
    pub(crate) fn put_tried(&self, channel: &str, record: Record, attempts: u32) -> EntryId {
        let mut state = self.state();
        let entry = state.store(channel, record);
        let id = entry.id;
        let (channel, due) = (channel.to_owned(), Instant::now());
        state.queue.push_back(Queued {
            channel,
            entry,
            attempts,
            due,
        });
        drop(state);
        self.poke();
        id
    }

    /// Another worker takes over everything that is held.
    pub(crate) fn steal_all(&self) {
        let mut state = self.state();
        let taken: Vec<_> = state.leased.drain().collect();
        for (
            _,
            (
                channel,
                Leased {
                    entry, attempts, ..
                },
            ),
        ) in taken
        {
            let due = Instant::now() + Duration::from_secs(20);
            state.queue.push_back(Queued {
                channel,
                entry,
                attempts: attempts + 1,
                due,
            });
        }
    }
}

impl State {
    /// What became of an entry, every time it was settled.
    pub(crate) fn fate(&self, id: EntryId) -> Vec<Action> {
        let all = self.settled.iter().flatten();
        all.filter(|(entry, _)| *entry == id)
            .map(|(_, action)| action.clone())
            .collect()
    }

    /// How many entries a channel has.
    pub(crate) fn count(&self, channel: &str) -> usize {
        self.channels.get(channel).map_or(0, Vec::len)
    }

    /// How many deliveries are out.
    pub(crate) fn held(&self) -> usize {
        self.leased.len()
    }

    /// How many entries wait for a reader, due or not.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn store(&mut self, channel: &str, mut record: Record) -> Entry {
        let log = self.channels.entry(channel.to_owned()).or_default();
        let id = EntryId::new(log.len() as u64 + 1, 0);
        record.ensure_id(channel, "fake", id);
        let entry = Entry {
            id,
            stored_at_ms: 1000,
            record,
        };
        log.push(entry.clone());
        entry
    }

    fn append(&mut self, outgoing: &Outgoing) -> EntryId {
        let entry = self.store(&outgoing.channel, outgoing.record.clone());
        let (id, channel, due) = (entry.id, outgoing.channel.clone(), Instant::now());
        self.queue.push_back(Queued {
            channel,
            entry,
            attempts: 1,
            due,
        });
        id
    }
}
