//! The orchestrator's database without a database: the same tables, the same conditions, and a
//! transaction that can fail at every write.

mod load;
mod past;
mod sweep;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use nexus_contracts::{ConversationId, Envelope, MessageId, OrgId, RunId, Timestamp};
use nexus_orchestrator::core::State;
use nexus_orchestrator::plan::Handled;

use crate::people::Keeper;

pub(crate) use write::{Refused, WRITES, Writing};

/// The tables. Keys begin with the organisation, as in the real ones.
#[derive(Clone, Default)]
pub(crate) struct Tables {
    pub(crate) conversations: BTreeMap<(OrgId, ConversationId), Stored>,
    pub(crate) journal: BTreeMap<(OrgId, ConversationId), BTreeMap<i64, Event>>,
    pub(crate) snapshots: BTreeMap<(OrgId, ConversationId), BTreeMap<i64, Rc<State>>>,
    pub(crate) inbox: BTreeMap<(OrgId, String, MessageId), (Handled, ConversationId, Timestamp)>,
    pub(crate) outbox: BTreeMap<(OrgId, MessageId), Kept>,
    /// Who still has to confirm a message.
    pub(crate) awaited: BTreeSet<(OrgId, MessageId, Keeper)>,
    pub(crate) dispatch: BTreeMap<Due, DueAt>,
    /// Which life of the bus was last seen.
    pub(crate) incarnation: Option<u64>,
}

/// A row of `conversation`.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) version: i64,
    pub(crate) state: Rc<State>,
}

/// A row of `journal`.
#[derive(Clone)]
pub(crate) struct Event {
    pub(crate) run_id: RunId,
    pub(crate) input: Rc<[u8]>,
    pub(crate) environment: &'static str,
    pub(crate) at: Timestamp,
}

/// A row of `outbox`.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) run_id: RunId,
    pub(crate) cause: String,
    pub(crate) conversation_id: Option<ConversationId>,
    pub(crate) channel: Rc<str>,
    /// Published is delivered, and it is kept only for repetitions.
    pub(crate) settled: bool,
    pub(crate) envelope: Rc<Envelope>,
}

/// The key of a row of `dispatch`: organisation, kind, id.
pub(crate) type Due = (OrgId, &'static str, String);

/// The rest of a row of `dispatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DueAt {
    pub(crate) due: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) attempt: i64,
}

impl Tables {
    /// Whether nothing waits for anything.
    pub(crate) fn is_drained(&self) -> bool {
        self.dispatch.is_empty() && self.awaited.is_empty()
    }
}
