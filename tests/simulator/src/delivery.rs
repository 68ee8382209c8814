//! Messages on their way, and the lives of processes.

use std::rc::Rc;

use nexus_contracts::{Envelope, MessageId, OrgId};

use crate::bus::{EntryId, LEASE_MS, Queue, readers};
use crate::chance::{name, within};
use crate::faults::Fault;
use crate::mutant::Mutant;
use crate::orchestrator::Replica;
use crate::people::{Door, Proc};
use crate::world::{Alarm, World};

/// A message and where it goes.
pub(crate) type Outgoing = (Rc<str>, Rc<Envelope>);

/// How long a message takes when nothing is wrong.
const TRAVEL_MS: i64 = 40;

/// Pause before a delivery that nobody can take is offered again.
const NOBODY_MS: i64 = 400;

/// How long a killed process stays away, at most.
const DOWN_MS: i64 = 9_000;

impl World<'_> {
    /// Publishes messages in order. False: the bus refused one, and those after it were not tried.
    pub(crate) fn publish(&mut self, messages: &[Outgoing]) -> bool {
        let Some((_, first)) = messages.first() else {
            return true;
        };
        let refused = self.goes_wrong(Fault::BusAway, first.id.as_str());
        let count = refused.map_or(messages.len(), |draw| {
            usize::try_from(draw % messages.len() as u64).unwrap_or_default()
        });
        self.send_all(messages.get(..count).unwrap_or_default());
        refused.is_none()
    }

    /// The bus takes messages.
    pub(crate) fn send_all(&mut self, messages: &[Outgoing]) {
        self.counts.messages += messages.len() as u64;
        for (channel, envelope) in messages {
            for queue in readers(channel) {
                self.send(queue, channel, envelope);
            }
        }
    }

    fn send(&mut self, queue: Queue, channel: &Rc<str>, envelope: &Rc<Envelope>) {
        let id = envelope.id.as_str();
        if self.goes_wrong(Fault::Lost, id).is_some() {
            self.lose(queue, envelope);
            return;
        }
        let copies = if self.goes_wrong(Fault::Doubled, id).is_some() {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let entry = self.bus.put(queue, channel, envelope);
            let late = self.goes_wrong(Fault::Late, id);
            let travel = self.between(id, 0, TRAVEL_MS);
            let travel = travel + late.map_or(0, |draw| within(draw, 500, 20_000));
            self.alarm(travel, Alarm::Deliver(entry, 0));
        }
    }

    /// The bus has lost a message: what a client wrote or was to read is lost for good.
    fn lose(&mut self, queue: Queue, envelope: &Envelope) {
        match queue {
            Queue::Asked(door) if !door.is_adapter() => {
                let (org, _) = identity(door);
                if let Some(asked) = self.requests.find(org, door, &envelope.id) {
                    asked.fate.request_lost = true;
                }
            }
            Queue::Answers(door) if !door.is_adapter() => {
                if let Some((org, cause)) = answered(envelope)
                    && let Some(asked) = self.requests.find(org, door, &cause)
                {
                    asked.fate.answer_lost = true;
                }
            }
            _ => {}
        }
    }

    /// Somebody who reads the entry's queue gets it.
    pub(crate) fn deliver(&mut self, id: EntryId, turn: u32) {
        let Some(entry) = self.bus.entries.get(&id).filter(|entry| entry.turn == turn) else {
            return;
        };
        let (queue, message) = (entry.queue, Rc::clone(&entry.envelope));
        if let Queue::Answers(door @ (Door::Local | Door::Ext)) = queue {
            self.bus.acknowledge(id);
            return self.heard(door, &message);
        }
        let Some((proc, life)) = self.someone(queue.processes(), message.id.as_str()) else {
            return self.alarm(NOBODY_MS, Alarm::Deliver(id, turn));
        };
        let Some(entry) = self.bus.entries.get_mut(&id) else {
            return;
        };
        entry.taken = Some((proc, life));
        entry.turn += 1;
        entry.silent = false;
        let turn = entry.turn;
        self.alarm(LEASE_MS, Alarm::Lease(id, turn));
        match proc {
            Proc::Orchestrator(replica) => self.hand_to(replica, id),
            _ => self.begin((proc, life), queue, id),
        }
    }

    /// A process of these that is up, whichever chance says.
    fn someone(&mut self, processes: &[Proc], about: &str) -> Option<(Proc, u32)> {
        let up = processes.iter().filter_map(|proc| {
            let process = self.processes.get(proc)?;
            process.is_up.then_some((*proc, process.life))
        });
        let up: Vec<(Proc, u32)> = up.collect();
        let one = self.chance(name(about)).checked_rem(up.len() as u64)?;
        up.get(usize::try_from(one).ok()?).copied()
    }

    /// The lease of an entry ends. Whoever is at it keeps it alive, unless it died or stands still.
    pub(crate) fn lease_ends(&mut self, id: EntryId, turn: u32) {
        let Some(entry) = self.bus.entries.get(&id).filter(|entry| entry.turn == turn) else {
            return;
        };
        let held = entry
            .taken
            .is_some_and(|(proc, life)| self.lives(proc, life));
        if held && !entry.silent {
            return self.alarm(LEASE_MS, Alarm::Lease(id, turn));
        }
        self.again(id, 0);
    }

    /// Has an entry delivered again.
    pub(crate) fn again(&mut self, id: EntryId, after: i64) {
        if let Some(entry) = self.bus.entries.get_mut(&id) {
            entry.turn += 1;
            entry.taken = None;
            let turn = entry.turn;
            self.alarm(after, Alarm::Deliver(id, turn));
        }
    }

    /// Whether a process is still in this life.
    pub(crate) fn lives(&self, proc: Proc, life: u32) -> bool {
        let process = self.processes.get(&proc);
        process.is_some_and(|process| process.is_up && process.life == life)
    }

    /// A process dies. What it had in its memory is gone.
    pub(crate) fn kill(&mut self, proc: Proc, down_ms: i64) {
        let Some(process) = self
            .processes
            .get_mut(&proc)
            .filter(|process| process.is_up)
        else {
            return;
        };
        process.is_up = false;
        process.life += 1;
        if let Proc::Orchestrator(at) = proc
            && let Some(replica) = self.replicas.get_mut(usize::from(at))
        {
            *replica = Replica::default();
        }
        self.note(|| format!("{proc:?} is dead for {down_ms} ms"));
        self.flows.retain(|_, flow| flow.proc != proc);
        let down_ms = if self.is_healed { 0 } else { down_ms };
        self.alarm(down_ms, Alarm::Start(proc));
    }

    /// Whether a process dies just now.
    pub(crate) fn dies(&mut self, proc: Proc, about: &str) -> bool {
        let Some(draw) = self.goes_wrong(Fault::Death, about) else {
            return false;
        };
        self.kill(proc, within(draw, 10, DOWN_MS));
        true
    }

    /// A process comes back.
    pub(crate) fn start(&mut self, proc: Proc) {
        let Some(process) = self
            .processes
            .get_mut(&proc)
            .filter(|process| !process.is_up)
        else {
            return;
        };
        process.is_up = true;
        let life = process.life;
        self.note(|| format!("{proc:?} is back"));
        match proc {
            Proc::Orchestrator(replica) => {
                if self.is(Mutant::TimersReset) {
                    let later = self.clock(proc).plus_millis(24 * 3_600_000);
                    self.tables.reset_timers(later);
                }
                self.alarm(100, Alarm::Sweep(replica, life));
            }
            Proc::Adapter(door) => self.reopen(door, life),
            Proc::Router(_) | Proc::Tools(_) | Proc::Recorder => {}
        }
    }

    /// The bus loses everything, and with it what would have led to an answer's publication: the
    /// clients of an orchestrator that was between commit and publication may never get theirs.
    pub(crate) fn flush(&mut self) {
        for asked in &mut self.requests.all {
            asked.fate.answer_lost |= !asked.who.door.is_adapter();
        }
        for entry in self.bus.flush().into_values() {
            self.lose(entry.queue, &entry.envelope);
        }
    }

    /// Nothing goes wrong any more: whoever is away comes back, and clocks are set right.
    pub(crate) fn heal(&mut self) {
        self.is_healed = true;
        self.note(|| "healed: nothing goes wrong any more".to_owned());
        for proc in Proc::ALL {
            if let Some(process) = self.processes.get_mut(&proc) {
                process.skew = 0;
            }
            self.start(proc);
        }
    }
}

/// Whom a client of this door asks for.
pub(crate) fn identity(door: Door) -> (OrgId, nexus_contracts::UserId) {
    let mut people = crate::people::Person::ALL.into_iter();
    let person = people.find(|person| person.door == door);
    person.unwrap_or(crate::people::Person::ANNA).identity()
}

/// The organisation and the request an answer is about.
pub(crate) fn answered(envelope: &Envelope) -> Option<(OrgId, MessageId)> {
    let metadata = &envelope.metadata;
    Some((metadata.org_id?, metadata.causation_id.clone()?))
}
