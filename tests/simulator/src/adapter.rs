//! An adapter of ours: what people ask is stored before they are told so and published until it is
//! answered; what they are answered is stored or sent on before it is confirmed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use nexus_contracts::events::{ApprovalRequested, ConversationDelete, Event, MessageAccepted};
use nexus_contracts::{ConversationId, Envelope, MessageId, OrgId, RunId, Timestamp};
use nexus_entry_api::outbox::{Backoff, Key, Lanes, Outbox};
use nexus_store::{Claimed, EffectClass};

use crate::delivery::{Outgoing, answered};
use crate::faults::Fault;
use crate::flow::Step;
use crate::ledger::Ledger;
use crate::mutant::Mutant;
use crate::people::{Door, Proc};
use crate::world::{Alarm, World};

/// How often an adapter looks for what is to be published.
const TICK_MS: i64 = 500;

/// Pause when the database or the bus is away.
const AWAY_MS: i64 = 1_000;

/// Most requests published at once.
const AT_ONCE: usize = 100;

const BACKOFF: Backoff = Backoff {
    first_ms: 2_000,
    longest_ms: 60_000,
};

/// The adapter at a door.
pub(crate) struct Adapter {
    door: Door,
    /// What was asked and is not erased: its database.
    rows: BTreeMap<Key, Row>,
    /// What it answered people to which request, and about which conversation: its database too.
    answers: BTreeMap<(Key, MessageId), (ConversationId, Bytes)>,
    erased: BTreeSet<(OrgId, ConversationId)>,
    ledger: Ledger,
    /// What is to be published: the real schedule, in its memory.
    outbox: Outbox<Outgoing>,
    incarnation: u64,
    is_ticking: bool,
}

/// Something that was asked.
struct Row {
    /// When it was stored, in order.
    number: usize,
    lanes: Lanes,
    request: Outgoing,
    is_answered: bool,
}

impl Adapter {
    pub(crate) fn new(door: Door) -> Self {
        Self {
            door,
            rows: BTreeMap::new(),
            answers: BTreeMap::new(),
            erased: BTreeSet::new(),
            ledger: Ledger::default(),
            outbox: Outbox::new(BACKOFF),
            incarnation: 0,
            is_ticking: false,
        }
    }

    /// Whether everything was answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.rows.values().all(|row| row.is_answered)
    }

    /// Stores what is asked. False: the conversation is gone, which people are told at once.
    pub(crate) fn admit(
        &mut self,
        (key, lanes): (Key, Lanes),
        request: Outgoing,
        now: Timestamp,
    ) -> bool {
        let about = [Some(lanes.conversation), lanes.parent];
        let mut about = about.into_iter().flatten();
        if about.any(|id| self.erased.contains(&(key.org, id))) {
            return false;
        }
        let row = Row {
            number: self.rows.len(),
            lanes,
            request: request.clone(),
            is_answered: false,
        };
        self.rows.entry(key).or_insert(row);
        self.outbox.push(key, lanes, request, now);
        true
    }

    fn settle(&mut self, key: Key, now: Timestamp) {
        if let Some(row) = self.rows.get_mut(&key) {
            row.is_answered = true;
        }
        self.outbox.settle(&key, now);
    }

    /// Erases what it has of a conversation.
    pub(crate) fn erase(&mut self, org: OrgId, conversation: ConversationId, now: Timestamp) {
        self.erased.insert((org, conversation));
        let rows = self.rows.iter();
        // The wish to delete itself stays, to be answered; it has no words in it.
        let gone = rows.filter(|(key, row)| {
            let is_wish = row.request.1.event_type == ConversationDelete::TYPE;
            key.org == org && row.lanes.conversation == conversation && !is_wish
        });
        let gone: Vec<Key> = gone.map(|(key, _)| *key).collect();
        self.answers.retain(|(key, _), _| !gone.contains(key));
        for key in gone {
            self.rows.remove(&key);
            self.outbox.settle(&key, now);
        }
        self.ledger.erase(org, conversation);
    }

    /// What it has of a conversation.
    pub(crate) fn about(&self, org: OrgId, conversation: ConversationId) -> Vec<&Bytes> {
        let rows = self.rows.iter();
        let rows =
            rows.filter(|(key, row)| key.org == org && row.lanes.conversation == conversation);
        let answers = self.answers.iter();
        let answers =
            answers.filter(|((key, _), (about, _))| key.org == org && *about == conversation);
        rows.map(|(_, row)| &row.request.1.payload)
            .chain(answers.map(|(_, (_, payload))| payload))
            .chain(self.ledger.about(org, conversation))
            .collect()
    }

    fn has_row(&self, reply: &Envelope) -> bool {
        key_of(self.door, reply).is_some_and(|key| self.rows.contains_key(&key))
    }
}

/// The request a reply is about.
fn key_of(door: Door, reply: &Envelope) -> Option<Key> {
    let (org, cause) = answered(reply)?;
    let run = RunId::of(org, &door.incoming(), &cause);
    Some(Key { org, run })
}

/// An adapter hears what the orchestrator said.
pub(crate) struct Hearing {
    door: Door,
    reply: Rc<Envelope>,
    stage: Stage,
    epoch: u64,
}

#[derive(Clone, Copy)]
enum Stage {
    Claim,
    Send,
    Record,
    Confirm,
    Acknowledge,
}

impl Hearing {
    pub(crate) fn new(door: Door, reply: &Rc<Envelope>) -> Self {
        // What is delivered by storing is delivered once because it is stored once.
        let sends = door == Door::Chat && reply.event_type != MessageAccepted::TYPE;
        Self {
            door,
            reply: Rc::clone(reply),
            stage: if sends { Stage::Claim } else { Stage::Record },
            epoch: 0,
        }
    }

    fn about(&self) -> Option<((OrgId, &MessageId), ConversationId)> {
        let metadata = &self.reply.metadata;
        Some((
            (metadata.org_id?, &self.reply.id),
            metadata.conversation_id?,
        ))
    }
}

impl World<'_> {
    fn adapter(&mut self, door: Door) -> Option<&mut Adapter> {
        self.adapters.get_mut(&door)
    }

    /// An adapter publishes what is unanswered and due.
    pub(crate) fn publish_unanswered(&mut self, door: Door, life: u32) {
        let proc = Proc::Adapter(door);
        if !self.lives(proc, life) {
            return;
        }
        let (now, incarnation) = (self.clock(proc), self.bus.incarnation);
        let Some(adapter) = self.adapters.get_mut(&door) else {
            return;
        };
        if adapter.incarnation != incarnation {
            adapter.incarnation = incarnation;
            adapter.outbox.all_due(now);
        }
        let due = adapter.outbox.take_due(now, AT_ONCE);
        adapter.is_ticking = !adapter.outbox.is_empty();
        let ticks = adapter.is_ticking;
        let requests: Vec<Outgoing> = due.iter().map(|due| due.load.clone()).collect();
        if !self.publish(&requests)
            && let Some(adapter) = self.adapter(door)
        {
            adapter.outbox.put_back(&due, now);
        }
        if ticks {
            self.alarm(TICK_MS, Alarm::Ingress(door, life));
        }
    }

    /// Something new is to be published.
    pub(crate) fn publish_new(&mut self, door: Door) {
        let life = self.processes.get(&Proc::Adapter(door));
        let life = life.map_or(0, |process| process.life);
        let is_ticking = self.adapter(door).is_some_and(|adapter| adapter.is_ticking);
        if !is_ticking {
            self.publish_unanswered(door, life);
        }
    }

    /// An adapter comes back and reads what it had stored.
    pub(crate) fn reopen(&mut self, door: Door, life: u32) {
        let now = self.clock(Proc::Adapter(door));
        if let Some(adapter) = self.adapter(door) {
            adapter.outbox = Outbox::new(BACKOFF);
            let rows = adapter.rows.iter().filter(|(_, row)| !row.is_answered);
            let mut rows: Vec<(&Key, &Row)> = rows.collect();
            rows.sort_by_key(|(_, row)| row.number);
            for (key, row) in rows {
                adapter
                    .outbox
                    .push(*key, row.lanes, row.request.clone(), now);
            }
        }
        self.publish_unanswered(door, life);
    }

    /// The next thing of a reply.
    pub(crate) fn hear(&mut self, proc: Proc, hearing: &mut Hearing) -> Step {
        let door = hearing.door;
        let reply = Rc::clone(&hearing.reply);
        match hearing.stage {
            Stage::Claim => self.claim_sending(proc, hearing),
            Stage::Send => {
                self.show(&reply);
                self.heard(door, &reply);
                let (now, epoch) = (self.clock(proc), hearing.epoch);
                hearing.stage = Stage::Record;
                if let (Some((key, _)), Some(adapter)) = (hearing.about(), self.adapter(door)) {
                    adapter.ledger.complete(key, epoch, Bytes::new(), now);
                }
                Step::after(1)
            }
            Stage::Record => {
                if self
                    .goes_wrong(Fault::StoreAway, reply.id.as_str())
                    .is_some()
                {
                    return Step::Again(AWAY_MS);
                }
                self.arrived(&reply);
                self.record(proc, door, &reply);
                hearing.stage = Stage::Confirm;
                Step::after(1)
            }
            Stage::Confirm => {
                hearing.stage = Stage::Acknowledge;
                if reply.event_type != MessageAccepted::TYPE
                    && !self.confirm(proc, &reply, door.name())
                {
                    return Step::Again(AWAY_MS);
                }
                Step::after(1)
            }
            Stage::Acknowledge => Step::DONE,
        }
    }

    /// Asks for the right to send a reply on to a platform that cannot tell a repetition.
    fn claim_sending(&mut self, proc: Proc, hearing: &mut Hearing) -> Step {
        let door = hearing.door;
        let reply = Rc::clone(&hearing.reply);
        let now = self.clock(proc);
        let no_ledger = self.is(Mutant::NoLedger);
        let (Some((key, about)), Some(adapter)) = (hearing.about(), self.adapter(door)) else {
            return Step::DONE;
        };
        let is_known = adapter.has_row(&reply);
        let claimed = if no_ledger {
            Claimed::Run {
                epoch: 1,
                attempt: 1,
            }
        } else {
            let class = EffectClass::AtMostOnce;
            adapter.ledger.claim(key, Some(about), class, now)
        };
        match claimed {
            // What is about nothing that is kept is for nobody.
            Claimed::Run { .. } if !is_known => hearing.stage = Stage::Record,
            Claimed::Run { epoch, .. } => {
                hearing.epoch = epoch;
                hearing.stage = Stage::Send;
            }
            Claimed::Busy { until } => {
                let left = until.as_millis() - now.as_millis();
                return Step::Again(left.clamp(50, 1_000));
            }
            Claimed::Unknown => {
                self.note(|| format!("nobody knows whether people saw {}", reply.id));
                self.heard(door, &reply);
                hearing.stage = Stage::Record;
            }
            Claimed::Done { .. } | Claimed::Erased => hearing.stage = Stage::Record,
        }
        Step::after(1)
    }

    /// Stores what was answered, and publishes the request no more.
    fn record(&mut self, proc: Proc, door: Door, reply: &Rc<Envelope>) {
        let now = self.clock(proc);
        let Some(adapter) = self.adapter(door) else {
            return;
        };
        let Some(key) = key_of(door, reply) else {
            return;
        };
        let is_known = adapter.has_row(reply);
        if reply.event_type != ApprovalRequested::TYPE {
            adapter.settle(key, now);
        }
        let conversation = reply.metadata.conversation_id;
        let is_new = match conversation {
            Some(about) if is_known && reply.event_type != MessageAccepted::TYPE => {
                let answer = (about, reply.payload.clone());
                let answers = &mut adapter.answers;
                answers.insert((key, reply.id.clone()), answer).is_none()
            }
            _ => false,
        };
        if door == Door::Api && is_new {
            self.show(reply);
            self.heard(door, reply);
        }
        if reply.event_type == MessageAccepted::TYPE {
            self.heard(door, reply);
        }
        self.publish_new(door);
    }
}
