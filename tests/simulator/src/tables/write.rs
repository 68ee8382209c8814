//! Writing what a batch changes, as `db/write.rs` does, in the same order.

use std::collections::BTreeSet;
use std::rc::Rc;

use nexus_contracts::{MessageId, OrgId, Timestamp};
use nexus_orchestrator::core::checkpoint::CheckpointError;
use nexus_orchestrator::db::dispatch::{kind, timer_key};
use nexus_orchestrator::emit::Settle;
use nexus_orchestrator::plan::Plan;

use super::{DueAt, Event, Kept, Stored, Tables};
use crate::people::Keeper;

/// What is written besides the plan.
#[derive(Clone, Copy)]
pub(crate) struct Writing {
    pub(crate) org: OrgId,
    pub(crate) now: Timestamp,
    pub(crate) resend_after_ms: i64,
    pub(crate) environment: &'static str,
    pub(crate) compare_and_set: bool,
}

/// Why a transaction changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Another replica changed a conversation meanwhile.
    Conflict,
    /// A key is there already.
    Twice(&'static str),
    /// The database is away.
    Away,
    /// The core's own data cannot be written or read.
    Broken(String),
}

impl From<CheckpointError> for Refused {
    fn from(error: CheckpointError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Forever.
pub(crate) const ALWAYS: Timestamp = Timestamp::from_millis(i64::MAX);

/// How many writes a plan is.
pub(crate) const WRITES: u64 = 9;

impl Tables {
    /// What the database would refuse.
    pub(crate) fn check(&self, plan: &Plan, writing: &Writing) -> Result<(), Refused> {
        let org = writing.org;
        for (id, (previous, next)) in &plan.conversations {
            let stored = self.conversations.get(&(org, *id));
            // A row that is not there is inserted, whatever version it was made from.
            if writing.compare_and_set && stored.is_some_and(|row| row.version != *previous) {
                return Err(Refused::Conflict);
            }
            let journal = self.journal.get(&(org, *id));
            let erased = plan.erased.contains(id);
            let fresh = plan.journal.iter().filter(|row| row.conversation_id == *id);
            let mut seqs = fresh.map(|row| row.seq);
            if !erased && seqs.any(|seq| journal.is_some_and(|rows| rows.contains_key(&seq))) {
                return Err(Refused::Twice("journal"));
            }
            debug_assert!(next.version > *previous, "versions grow");
        }
        let known = plan.inbox.iter().any(|row| {
            let key = (org, row.channel.clone(), row.message_id.clone());
            self.inbox.contains_key(&key)
        });
        if known {
            return Err(Refused::Twice("inbox"));
        }
        let mut ids = BTreeSet::new();
        let sent = plan.outbox.iter().any(|row| {
            let id = &row.emission.envelope.id;
            let there = self.outbox.get(&(org, id.clone()));
            let there = there.is_some_and(|kept| {
                let conversation = kept.conversation_id;
                conversation.is_none_or(|id| !plan.erased.contains(&id))
            });
            there || !ids.insert(id)
        });
        if sent {
            return Err(Refused::Twice("outbox"));
        }
        Ok(())
    }

    /// Conversations that would be written without having seen what is stored.
    pub(crate) fn stale(&self, plan: &Plan, org: OrgId) -> usize {
        let written = plan.conversations.iter();
        let stale = written.filter(|(id, (previous, _))| {
            let stored = self.conversations.get(&(org, **id));
            stored.map_or(0, |row| row.version) != *previous
        });
        stale.count()
    }

    /// Makes the first `most` writes of a plan.
    pub(crate) fn apply(&mut self, plan: &Plan, writing: &Writing, most: u64) {
        let writes: [fn(&mut Self, &Plan, &Writing); WRITES as usize] = [
            Self::conversations,
            Self::erase,
            Self::journal,
            Self::snapshots,
            Self::inbox,
            Self::outbox,
            Self::dispatch,
            |tables, plan, writing| tables.settle(writing.org, &plan.settled),
            Self::clear,
        ];
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        for write in writes.into_iter().take(most) {
            write(self, plan, writing);
        }
    }

    fn conversations(&mut self, plan: &Plan, writing: &Writing) {
        for (id, (_, next)) in &plan.conversations {
            let row = Stored {
                version: next.version,
                state: Rc::new(next.state.clone()),
            };
            self.conversations.insert((writing.org, *id), row);
        }
    }

    fn erase(&mut self, plan: &Plan, writing: &Writing) {
        for id in &plan.erased {
            self.journal.remove(&(writing.org, *id));
            self.snapshots.remove(&(writing.org, *id));
            let outbox = self.outbox.iter();
            let gone = outbox.filter(|((org, _), kept)| {
                *org == writing.org && kept.conversation_id == Some(*id)
            });
            let gone: Vec<MessageId> = gone.map(|((_, message), _)| message.clone()).collect();
            self.awaited
                .retain(|(org, message, _)| *org != writing.org || !gone.contains(message));
            self.settle(writing.org, &gone);
        }
    }

    fn journal(&mut self, plan: &Plan, writing: &Writing) {
        for row in &plan.journal {
            let event = Event {
                run_id: row.run_id,
                input: row.input.as_slice().into(),
                environment: writing.environment,
                at: writing.now,
            };
            let rows = self.journal.entry((writing.org, row.conversation_id));
            rows.or_default().insert(row.seq, event);
        }
    }

    fn snapshots(&mut self, plan: &Plan, writing: &Writing) {
        for (id, kept) in &plan.snapshots {
            let rows = self.snapshots.entry((writing.org, *id)).or_default();
            rows.entry(kept.version)
                .or_insert_with(|| Rc::new(kept.state.clone()));
        }
    }

    fn inbox(&mut self, plan: &Plan, writing: &Writing) {
        for row in &plan.inbox {
            let key = (writing.org, row.channel.clone(), row.message_id.clone());
            let handled = (row.handled, row.conversation_id, writing.now);
            self.inbox.insert(key, handled);
        }
    }

    fn outbox(&mut self, plan: &Plan, writing: &Writing) {
        for row in &plan.outbox {
            let emission = &row.emission;
            let id = emission.envelope.id.clone();
            if emission.settle == Settle::ByKeepers {
                let awaited = Keeper::ALL.map(|keeper| (writing.org, id.clone(), keeper));
                self.awaited.extend(awaited);
            }
            let kept = Kept {
                run_id: row.run_id,
                cause: row.cause.clone(),
                conversation_id: row.conversation_id,
                channel: emission.channel.as_str().into(),
                settled: emission.settle == Settle::ByPublication,
                envelope: Rc::new(emission.envelope.clone()),
            };
            self.outbox.insert((writing.org, id), kept);
        }
    }

    fn dispatch(&mut self, plan: &Plan, writing: &Writing) {
        let org = writing.org;
        let resend = writing.now.plus_millis(writing.resend_after_ms);
        let mut set = |kind, id, due, until| {
            let row = DueAt {
                due,
                until,
                attempt: 0,
            };
            self.dispatch.insert((org, kind, id), row);
        };
        for row in &plan.outbox {
            let until = match row.emission.settle {
                Settle::ByResult { until } => until,
                Settle::ByReceipt | Settle::ByKeepers => ALWAYS,
                Settle::ByPublication => continue,
            };
            set(
                kind::MESSAGE,
                row.emission.envelope.id.to_string(),
                resend,
                until,
            );
        }
        for ((conversation, timer), at) in &plan.timers {
            if let Some(at) = at {
                let (kind, id) = timer_key(*conversation, timer);
                set(kind, id, *at, ALWAYS);
            }
        }
        for (run, until) in &plan.cancelled {
            set(kind::CANCEL, run.to_string(), writing.now, *until);
        }
    }

    pub(crate) fn settle(&mut self, org: OrgId, ids: &[MessageId]) {
        for id in ids {
            self.outbox.remove(&(org, id.clone()));
            self.dispatch.remove(&(org, kind::MESSAGE, id.to_string()));
        }
    }

    fn clear(&mut self, plan: &Plan, writing: &Writing) {
        for ((conversation, timer), _) in plan.timers.iter().filter(|(_, at)| at.is_none()) {
            let (kind, id) = timer_key(*conversation, timer);
            self.dispatch.remove(&(writing.org, kind, id));
        }
    }

    /// Forgets messages that arrived; one that several must keep stays until the last has it.
    pub(crate) fn confirm(&mut self, org: OrgId, by: &str, ids: &[MessageId]) {
        let keeper = Keeper::ALL.into_iter().find(|keeper| keeper.name() == by);
        for id in ids {
            if let Some(keeper) = keeper {
                self.awaited.remove(&(org, id.clone(), keeper));
            }
            let waits = |keeper| self.awaited.contains(&(org, id.clone(), keeper));
            if !Keeper::ALL.into_iter().any(waits) {
                self.settle(org, std::slice::from_ref(id));
            }
        }
    }
}
