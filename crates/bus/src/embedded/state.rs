//! What the owner knows in memory: channels with their newest entries, and groups.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::codec::decode;
use super::delivery::Deliveries;
use super::tables::Watchers;
use crate::{Entry, EntryId, Record};

/// How much of a channel's end is kept in memory, so that a reader that keeps up never asks the
/// file.
const TAIL_ENTRIES: usize = 1024;
const TAIL_BYTES: usize = 1024 * 1024;

/// Shared by the writer thread and everyone who reads or waits.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) channels: RwLock<BTreeMap<String, Arc<Channel>>>,
    pub(super) watchers: Watchers,
    pub(super) closed: CancellationToken,
}

impl Shared {
    pub(super) fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels.read().get(name).cloned()
    }
}

/// An entry as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) seq: u64,
    pub(super) stored_at: i64,
    pub(super) record: Bytes,
}

/// A channel of the file.
pub(super) struct Channel {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) incarnation: String,
    pub(super) insert_sql: String,
    /// The newest entry that is committed.
    head: AtomicU64,
    /// Everything up to here is gone.
    trimmed: AtomicU64,
    /// When the newest entry was stored.
    last_stored_at: AtomicI64,
    tail: Mutex<Tail>,
    pub(super) groups: RwLock<HashMap<String, Arc<GroupState>>>,
}

#[derive(Default)]
struct Tail {
    entries: VecDeque<Stored>,
    bytes: usize,
}

impl Channel {
    pub(super) fn new(id: i64, name: &str, incarnation: String) -> Self {
        Self {
            id,
            name: name.to_owned(),
            incarnation,
            insert_sql: format!("INSERT INTO entries_{id} VALUES (?1, ?2, ?3)"),
            head: AtomicU64::new(0),
            trimmed: AtomicU64::new(0),
            last_stored_at: AtomicI64::new(0),
            tail: Mutex::default(),
            groups: RwLock::default(),
        }
    }

    /// As the file has it.
    pub(super) fn with_bounds(self, trimmed: u64, head: u64, last_stored_at: i64) -> Self {
        self.trimmed.store(trimmed, Ordering::Release);
        self.last_stored_at.store(last_stored_at, Ordering::Release);
        self.head.store(head, Ordering::Release);
        self
    }

    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    pub(super) fn trimmed(&self) -> u64 {
        self.trimmed.load(Ordering::Acquire)
    }

    pub(super) fn last_stored_at(&self) -> i64 {
        self.last_stored_at.load(Ordering::Acquire)
    }

    pub(super) fn set_trimmed(&self, trimmed: u64) {
        self.trimmed.store(trimmed, Ordering::Release);
    }

    pub(super) fn len(&self) -> u64 {
        self.head().saturating_sub(self.trimmed())
    }

    /// What a transaction appended, once it is committed. Wakes one consumer per group, which
    /// wakes the next when it leaves something.
    pub(super) fn append(&self, entries: Vec<Stored>) {
        let Some(last) = entries.last() else { return };
        let head = last.seq;
        self.last_stored_at.store(last.stored_at, Ordering::Release);
        self.tail.lock().extend(entries);
        self.head.store(head, Ordering::Release);
        for group in self.groups.read().values() {
            group.wake.notify_one();
        }
    }

    /// Those of these entries that are still in memory.
    pub(super) fn recent(&self, sequences: impl Iterator<Item = u64>) -> HashMap<u64, Stored> {
        let tail = self.tail.lock();
        let Some(first) = tail.entries.front().map(|entry| entry.seq) else {
            return HashMap::new();
        };
        sequences
            .filter_map(|seq| {
                let at = usize::try_from(seq.checked_sub(first)?).ok()?;
                tail.entries.get(at).map(|stored| (seq, stored.clone()))
            })
            .collect()
    }

    /// The entry these bytes are. A damaged one is handed out with its bytes as payload and
    /// without a type, so that it ends as a dead letter with everything there is of it.
    pub(super) fn entry(&self, stored: Stored) -> Entry {
        let id = EntryId::new(stored.seq, 0);
        let mut record = decode(&stored.record).unwrap_or_else(|damage| {
            tracing::error!(channel = self.name, entry = %id, %damage, "stored record is damaged");
            Record::new([
                ("bus_damaged".to_owned(), Bytes::from(damage.to_string())),
                ("payload".to_owned(), stored.record),
            ])
        });
        record.ensure_id(&self.name, &self.incarnation, id);
        Entry {
            id,
            stored_at_ms: stored.stored_at,
            record,
        }
    }
}

impl Tail {
    fn extend(&mut self, entries: Vec<Stored>) {
        for entry in entries {
            self.bytes += entry.record.len();
            self.entries.push_back(entry);
        }
        while self.entries.len() > TAIL_ENTRIES || self.bytes > TAIL_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.record.len();
        }
    }
}

/// A group of a channel.
pub(super) struct GroupState {
    pub(super) id: i64,
    pub(super) name: String,
    /// Up to here entries were there before the group was opened, and an earlier process may have
    /// died of one of them: they are handed out only once the file says so.
    pub(super) suspect: u64,
    pub(super) deliveries: Mutex<Deliveries>,
    pub(super) wake: Notify,
}

impl GroupState {
    pub(super) fn new(id: i64, name: &str, suspect: u64, deliveries: Deliveries) -> Self {
        Self {
            id,
            name: name.to_owned(),
            suspect,
            deliveries: Mutex::new(deliveries),
            wake: Notify::new(),
        }
    }
}

/// A group and the channel it reads.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) channel: Arc<Channel>,
    pub(super) group: Arc<GroupState>,
}
