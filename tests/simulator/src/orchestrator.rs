//! A replica of the orchestrator: the real decisions, committed, published and acknowledged in this
//! order, as `processor.rs` does it.

use std::collections::BTreeMap;
use std::rc::Rc;

use nexus_contracts::{Extra, RunId, Timestamp};
use nexus_orchestrator::core::run::failure;
use nexus_orchestrator::db::dispatch::Due;
use nexus_orchestrator::emit::emission;
use nexus_orchestrator::translate::{self, Refusal, Translated};

use crate::bus::{EntryId, Queue};
use crate::commit::Prepared;
use crate::delivery::Outgoing;
use crate::flow::{Flow, Step, Work};
use crate::invariant::Invariant;
use crate::mutant::Mutant;
use crate::people::Proc;
use crate::tables::Refused;
use crate::world::{Alarm, World};

/// How long something unanswered waits before it is published again.
pub(crate) const RESEND_MS: i64 = 3_000;

/// Pause when the database or the bus is away.
pub(crate) const AWAY_MS: i64 = 1_000;

/// What a replica has in its memory.
#[derive(Default)]
pub(crate) struct Replica {
    /// Deliveries it was handed and has not begun with.
    handed: Vec<EntryId>,
    /// Whether it will look at them.
    is_called: bool,
    /// Whether it is writing; it writes one batch at a time.
    is_writing: bool,
}

/// Events that share a commit.
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    stage: Stage,
    pub(crate) prepared: Vec<Prepared>,
    pub(crate) publish: Vec<Outgoing>,
    pub(crate) cancelled: Vec<(RunId, Timestamp)>,
    /// Items that are delivered again, and after how long.
    pub(crate) again: BTreeMap<usize, i64>,
}

/// An event, and where it came from.
pub(crate) struct Item {
    pub(crate) from: From,
    /// Nothing when its answer needs no transaction.
    pub(crate) event: Option<Translated>,
}

/// Where an event came from.
pub(crate) enum From {
    Bus(EntryId),
    Timer(Due),
}

#[derive(Clone, Copy)]
enum Stage {
    Load,
    Commit,
    Publish,
    Acknowledge,
}

impl World<'_> {
    fn replica(&mut self, at: u8) -> Option<&mut Replica> {
        self.replicas.get_mut(usize::from(at))
    }

    /// A replica is handed a delivery.
    pub(crate) fn hand_to(&mut self, at: u8, entry: EntryId) {
        if let Some(replica) = self.replica(at) {
            replica.handed.push(entry);
            self.call_replica(at);
        }
    }

    fn call_replica(&mut self, at: u8) {
        let proc = Proc::Orchestrator(at);
        let life = self.processes.get(&proc).map_or(0, |process| process.life);
        if let Some(replica) = self.replica(at)
            && !replica.is_called
            && !replica.is_writing
            && !replica.handed.is_empty()
        {
            replica.is_called = true;
            let after = self.between("work", 0, 15);
            self.alarm(after, Alarm::Work(at, life));
        }
    }

    /// A replica takes up everything it was handed.
    pub(crate) fn work(&mut self, at: u8, life: u32) {
        let proc = Proc::Orchestrator(at);
        if !self.lives(proc, life) {
            return;
        }
        let Some(replica) = self.replica(at) else {
            return;
        };
        replica.is_called = false;
        if replica.is_writing {
            return;
        }
        replica.is_writing = true;
        let handed = std::mem::take(&mut replica.handed);
        let mut publish = Vec::new();
        let items: Vec<Item> = handed
            .iter()
            .filter_map(|entry| self.read(proc, *entry, &mut publish))
            .collect();
        self.handle((proc, life), items, publish);
    }

    /// Handles events: the beginning of it.
    pub(crate) fn handle(
        &mut self,
        (proc, life): (Proc, u32),
        items: Vec<Item>,
        publish: Vec<Outgoing>,
    ) {
        let entries: Vec<EntryId> = items
            .iter()
            .filter_map(|item| match &item.from {
                From::Bus(entry) => Some(*entry),
                From::Timer(_) => None,
            })
            .collect();
        let first = entries
            .first()
            .and_then(|entry| self.bus.entries.get(entry));
        let name = first
            .map_or("timers", |entry| entry.envelope.id.as_str())
            .into();
        if self.is(Mutant::AckBeforeCommit) {
            for entry in &entries {
                self.bus.acknowledge(*entry);
            }
        }
        let batch = Batch {
            items,
            stage: Stage::Load,
            prepared: Vec::new(),
            publish,
            cancelled: Vec::new(),
            again: BTreeMap::new(),
        };
        let flow = Flow {
            proc,
            life,
            name,
            entries,
            work: Work::Batch(Box::new(batch)),
        };
        self.add(flow, 0);
    }

    /// What a delivery says; an answer to what cannot even be read is published right away.
    fn read(&mut self, proc: Proc, id: EntryId, publish: &mut Vec<Outgoing>) -> Option<Item> {
        let entry = self.bus.entries.get(&id)?;
        let (envelope, channel) = (&entry.envelope, &entry.channel);
        let event = match entry.queue {
            Queue::Asked(door) => match translate::incoming(envelope, channel, &door.sender()) {
                Ok(event) => Some(event),
                Err(refusal) => {
                    publish.extend(refused(refusal, self.clock(proc)));
                    None
                }
            },
            _ => match translate::result(envelope, channel) {
                Ok(event) => Some(event),
                Err(reason) => {
                    let about = format!("{} cannot be read: {reason}", envelope.id);
                    self.violated(Invariant::Drained, about);
                    None
                }
            },
        };
        let from = From::Bus(id);
        Some(Item { from, event })
    }

    /// The next thing of a batch.
    pub(crate) fn batch(&mut self, proc: Proc, batch: &mut Batch) -> Step {
        match batch.stage {
            Stage::Load => {
                let all: Vec<usize> = (0..batch.items.len()).collect();
                match self.prepare(proc, batch, &all) {
                    Ok(prepared) => batch.prepared = prepared,
                    Err(refused) => return self.refused(proc, &refused),
                }
                batch.stage = Stage::Commit;
                Step::after(self.between("commit", 0, 30))
            }
            Stage::Commit => match self.commit(proc, batch) {
                Ok(()) => {
                    self.written(proc);
                    batch.stage = Stage::Publish;
                    Step::after(self.between("publish", 0, 8))
                }
                Err(refused) => self.refused(proc, &refused),
            },
            Stage::Publish => {
                if !self.publish(&batch.publish) {
                    return Step::Again(AWAY_MS);
                }
                self.bus.cancelled.extend(batch.cancelled.drain(..));
                batch.stage = Stage::Acknowledge;
                Step::after(self.between("acknowledge", 0, 4))
            }
            Stage::Acknowledge => {
                for (at, item) in batch.items.iter().enumerate() {
                    match (&item.from, batch.again.get(&at)) {
                        (From::Bus(entry), None) => self.bus.acknowledge(*entry),
                        (From::Bus(entry), Some(after)) => self.again(*entry, *after),
                        (From::Timer(due), None) => self.tables.forget(due),
                        (From::Timer(_), Some(_)) => {}
                    }
                }
                Step::Settled
            }
        }
    }

    /// A replica has written, and may go on with what it was handed meanwhile.
    fn written(&mut self, proc: Proc) {
        if let Proc::Orchestrator(at) = proc {
            if let Some(replica) = self.replica(at) {
                replica.is_writing = false;
            }
            self.call_replica(at);
        }
    }

    fn refused(&mut self, proc: Proc, refused: &Refused) -> Step {
        self.written(proc);
        if let Refused::Broken(reason) = refused {
            self.violated(Invariant::FoldIsCheckpoint, reason.clone());
        }
        Step::Again(AWAY_MS)
    }
}

/// Tells the sender that the message cannot be taken, as `handler.rs` does.
fn refused(refusal: Refusal, now: Timestamp) -> Option<Outgoing> {
    let header = refusal.header?;
    let command = failure(&header, refusal.code, &refusal.detail, Extra::new());
    let emission = emission(&command, &header.message_id, now).ok()??;
    Some((emission.channel.as_str().into(), Rc::new(emission.envelope)))
}
