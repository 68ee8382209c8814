//! What a process is at: a few things one after another, between any two of which it can die or
//! stand still.

use std::rc::Rc;

use crate::adapter::Hearing;
use crate::bus::{EntryId, Queue};
use crate::chance::within;
use crate::faults::Fault;
use crate::keeper::Keeping;
use crate::orchestrator::Batch;
use crate::people::Proc;
use crate::worker::Call;
use crate::world::{Alarm, World};

/// Names something a process is at.
pub(crate) type FlowId = u64;

/// Something a process is at.
pub(crate) struct Flow {
    pub(crate) proc: Proc,
    pub(crate) life: u32,
    /// What it is called in histories and by chance.
    pub(crate) name: Rc<str>,
    /// What it was taken from the bus for.
    pub(crate) entries: Vec<EntryId>,
    pub(crate) work: Work,
}

/// What it is.
pub(crate) enum Work {
    /// The orchestrator handles events.
    Batch(Box<Batch>),
    /// A worker has a model or a tool called.
    Call(Box<Call>),
    /// An adapter hears what the orchestrator said.
    Hearing(Box<Hearing>),
    /// Somebody who stores content hears what became of a conversation.
    Keeping(Box<Keeping>),
}

/// What comes next.
pub(crate) enum Next {
    /// The next thing, after so many milliseconds.
    After(i64),
    /// Nothing: it is done.
    Done,
}

impl World<'_> {
    /// A process, in this life, begins with what it was handed.
    pub(crate) fn begin(&mut self, (proc, life): (Proc, u32), queue: Queue, entry: EntryId) {
        let Some(envelope) = self
            .bus
            .entries
            .get(&entry)
            .map(|entry| Rc::clone(&entry.envelope))
        else {
            return;
        };
        let work = match queue {
            Queue::Infer | Queue::Tools => Work::Call(Box::new(Call::new(&envelope))),
            Queue::Answers(door) => Work::Hearing(Box::new(Hearing::new(door, &envelope))),
            Queue::Facts(keeper) => Work::Keeping(Box::new(Keeping::new(keeper, &envelope))),
            Queue::Archive => {
                self.archive(&envelope);
                return self.bus.acknowledge(entry);
            }
            Queue::Asked(_) | Queue::Inferred | Queue::Returned | Queue::Receipts => return,
        };
        let flow = Flow {
            proc,
            life,
            name: envelope.id.as_str().into(),
            entries: vec![entry],
            work,
        };
        self.add(flow, 1);
    }

    /// Has something go on after a while.
    pub(crate) fn add(&mut self, flow: Flow, after: i64) {
        self.next_flow += 1;
        let id = self.next_flow;
        self.flows.insert(id, flow);
        self.alarm(after, Alarm::Flow(id));
    }

    /// The next thing of what a process is at.
    pub(crate) fn go_on(&mut self, id: FlowId) {
        let Some(mut flow) = self.flows.remove(&id) else {
            return;
        };
        if !self.lives(flow.proc, flow.life) || self.dies(flow.proc, &flow.name) {
            return;
        }
        if let Some(draw) = self.goes_wrong(Fault::Stall, &flow.name) {
            for entry in &flow.entries {
                if let Some(entry) = self.bus.entries.get_mut(entry) {
                    entry.silent = true;
                }
            }
            self.alarm(within(draw, 6_000, 30_000), Alarm::Flow(id));
            self.flows.insert(id, flow);
            return;
        }
        let next = match &mut flow.work {
            Work::Batch(batch) => self.batch(flow.proc, batch),
            Work::Call(call) => self.call(flow.proc, call),
            Work::Hearing(hearing) => self.hear(flow.proc, hearing),
            Work::Keeping(keeping) => self.keep(flow.proc, keeping),
        };
        match next {
            Step::Next(Next::After(ms)) => {
                self.alarm(ms, Alarm::Flow(id));
                self.flows.insert(id, flow);
            }
            Step::Next(Next::Done) => {
                for entry in &flow.entries {
                    self.bus.acknowledge(*entry);
                }
            }
            Step::Again(ms) => {
                for entry in &flow.entries {
                    self.again(*entry, ms);
                }
            }
            Step::Settled => {}
        }
    }
}

/// How a step of something went.
pub(crate) enum Step {
    /// Well: what comes next.
    Next(Next),
    /// Not now: what was taken is delivered again after so many milliseconds.
    Again(i64),
    /// It has seen to its deliveries itself.
    Settled,
}

impl Step {
    /// The next thing, after so many milliseconds.
    pub(crate) const fn after(ms: i64) -> Self {
        Self::Next(Next::After(ms))
    }

    /// Nothing comes next, and what was taken is acknowledged.
    pub(crate) const DONE: Self = Self::Next(Next::Done);
}
