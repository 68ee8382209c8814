//! A bus that keeps its promises only when nothing goes wrong.
//!
//! Each channel is read by groups; a group has one queue. What is taken is leased, comes again
//! when its lease ends, and is gone when it is acknowledged, by whomever.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use nexus_contracts::{Envelope, RunId, Timestamp, channels};

use crate::people::{Door, Keeper, Proc};

/// How long a delivery may be silent before it is handed to somebody else.
pub(crate) const LEASE_MS: i64 = 5_000;

/// What one group still has to read of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// What is asked, for the orchestrator.
    Asked(Door),
    /// What is asked and answered, for the recorder.
    Archive,
    /// `inference.request`.
    Infer,
    /// `inference.response`.
    Inferred,
    /// `tools.execute`.
    Tools,
    /// `tools.results`.
    Returned,
    /// `receipts`.
    Receipts,
    /// `requests.processed.<door>`.
    Answers(Door),
    /// `conversations`, for one of those who store content.
    Facts(Keeper),
}

/// Names an entry.
pub(crate) type EntryId = u64;

/// A message in a queue.
pub(crate) struct Entry {
    pub(crate) queue: Queue,
    pub(crate) channel: Rc<str>,
    pub(crate) envelope: Rc<Envelope>,
    /// Who has it, and in which of its lives.
    pub(crate) taken: Option<(Proc, u32)>,
    /// Counts what became of it, so that an old alarm is told from the present one.
    pub(crate) turn: u32,
    /// Whether whoever has it stands still.
    pub(crate) silent: bool,
}

/// The bus.
#[derive(Default)]
pub(crate) struct Bus {
    pub(crate) entries: BTreeMap<EntryId, Entry>,
    next: EntryId,
    /// Which life this is.
    pub(crate) incarnation: u64,
    /// The table `runs.cancelled`.
    pub(crate) cancelled: BTreeMap<RunId, Timestamp>,
}

impl Bus {
    /// Puts a message into a queue.
    pub(crate) fn put(
        &mut self,
        queue: Queue,
        channel: &Rc<str>,
        envelope: &Rc<Envelope>,
    ) -> EntryId {
        self.next += 1;
        let entry = Entry {
            queue,
            channel: Rc::clone(channel),
            envelope: Rc::clone(envelope),
            taken: None,
            turn: 0,
            silent: false,
        };
        self.entries.insert(self.next, entry);
        self.next
    }

    /// Everything is gone; another life begins. Gives what was lost.
    pub(crate) fn flush(&mut self) -> BTreeMap<EntryId, Entry> {
        self.incarnation += 1;
        self.cancelled.clear();
        std::mem::take(&mut self.entries)
    }

    /// An entry is done with.
    pub(crate) fn acknowledge(&mut self, id: EntryId) {
        self.entries.remove(&id);
    }

    /// Whether somebody still has to read something.
    pub(crate) fn is_quiet(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is waiting, in words.
    pub(crate) fn waiting(&self) -> BTreeSet<String> {
        let entries = self.entries.values();
        entries
            .map(|entry| format!("{:?} {}", entry.queue, entry.envelope.id))
            .collect()
    }
}

/// Who reads a channel.
pub(crate) fn readers(channel: &str) -> Vec<Queue> {
    match channel {
        channels::INFERENCE_REQUEST => vec![Queue::Infer],
        channels::INFERENCE_RESPONSE => vec![Queue::Inferred],
        channels::TOOLS_EXECUTE => vec![Queue::Tools],
        channels::TOOLS_RESULTS => vec![Queue::Returned],
        channels::RECEIPTS => vec![Queue::Receipts],
        channels::CONVERSATIONS => Keeper::ALL.map(Queue::Facts).into(),
        _ => {
            let asked = door(channel, channels::REQUESTS_INCOMING).map(Queue::Asked);
            let answered = door(channel, channels::REQUESTS_PROCESSED).map(Queue::Answers);
            let first = asked.or(answered);
            first.map_or_else(Vec::new, |first| vec![first, Queue::Archive])
        }
    }
}

/// The door whose name ends a channel.
fn door(channel: &str, base: &str) -> Option<Door> {
    let name = channel.strip_prefix(base)?;
    let name = name.strip_prefix('.').unwrap_or(name);
    Door::ALL.into_iter().find(|door| door.name() == name)
}

impl Queue {
    /// Which processes read it; none when a client does itself.
    pub(crate) const fn processes(self) -> &'static [Proc] {
        match self {
            Self::Asked(_) | Self::Inferred | Self::Returned | Self::Receipts => {
                &[Proc::Orchestrator(0), Proc::Orchestrator(1)]
            }
            Self::Infer | Self::Facts(Keeper::Router) => &[Proc::Router(0), Proc::Router(1)],
            Self::Tools | Self::Facts(Keeper::Tools) => &[Proc::Tools(0), Proc::Tools(1)],
            Self::Archive | Self::Facts(Keeper::Recorder) => &[Proc::Recorder],
            Self::Answers(Door::Api) | Self::Facts(Keeper::Api) => &[Proc::Adapter(Door::Api)],
            Self::Answers(Door::Chat) | Self::Facts(Keeper::Chat) => &[Proc::Adapter(Door::Chat)],
            Self::Answers(Door::Local | Door::Ext) => &[],
        }
    }
}
