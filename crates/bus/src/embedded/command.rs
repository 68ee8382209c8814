//! What the writer thread is asked to do.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::delivery::Claim;
use super::state::{Channel, Member};
use crate::{BusError, EntryId, Expect, PutOutcome};

/// Where the answer goes. Nobody may be there any more.
pub(super) type Reply<T> = oneshot::Sender<Result<T, BusError>>;

/// A record on its way into a channel, already encoded.
#[derive(Clone, Debug)]
pub(super) struct Append {
    pub(super) channel: String,
    pub(super) record: Bytes,
}

/// What becomes of one delivery.
#[derive(Debug)]
pub(super) struct Settle {
    pub(super) claim: Claim,
    pub(super) verdict: Verdict,
    /// Stored in the same transaction.
    pub(super) appends: Vec<Append>,
}

/// Whether the entry is done with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// Done, whoever has it now: the work is done.
    Done,
    /// Moved away. Nothing when another has it now.
    Buried,
    /// Due again. Nothing when another has it now.
    Again { due: Instant, due_ms: i64 },
}

/// What was handed out, for the file to remember.
#[derive(Debug, Default)]
pub(super) struct Mark {
    /// For the first time, ascending.
    pub(super) fresh: Vec<u64>,
    /// Once more: entry and attempts.
    pub(super) again: Vec<(u64, u32)>,
}

/// A write to a table.
pub(super) struct TableWrite {
    pub(super) table: String,
    pub(super) key: String,
    /// Nothing: delete.
    pub(super) value: Option<Bytes>,
    pub(super) expect: Expect,
}

/// One request to the writer thread.
pub(super) enum Command {
    Publish {
        appends: Vec<Append>,
        reply: Reply<Vec<EntryId>>,
    },
    Settle {
        member: Member,
        settles: Vec<Settle>,
        reply: oneshot::Sender<Vec<Result<(), BusError>>>,
    },
    /// Without a reply it waits a moment for company.
    Mark {
        member: Member,
        mark: Mark,
        reply: Option<Reply<()>>,
    },
    Join {
        channel: String,
        group: String,
        reply: Reply<Member>,
    },
    Create {
        channel: String,
        reply: Reply<Arc<Channel>>,
    },
    /// Drops some of what is older than `before_ms`; answers how many.
    Trim {
        channel: Arc<Channel>,
        before_ms: i64,
        reply: Reply<u64>,
    },
    Table {
        write: TableWrite,
        reply: Reply<PutOutcome>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
}

impl Command {
    /// Whether nobody waits for this one.
    pub(super) const fn is_lazy(&self) -> bool {
        matches!(self, Self::Mark { reply: None, .. })
    }
}
