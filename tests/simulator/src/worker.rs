//! The provider router and the tool executor: a command in, a result out, claimed in the ledger
//! before anything is done and stored before it is told.

use std::rc::Rc;

use bytes::Bytes;
use nexus_contracts::chat::Role;
use nexus_contracts::events::{
    Event, InferenceCompleted, InferenceFailed, InferenceRequested, Purpose, ToolCompleted,
    ToolFailed, ToolRequested,
};
use nexus_contracts::{ContractError, Envelope, Extra, Metadata, OrgId, Timestamp, channels};
use nexus_store::{Claimed, Completion, EffectClass};

use crate::asked::markers;
use crate::chance::within;
use crate::faults::Fault;
use crate::flow::Step;
use crate::history;
use crate::invariant::Invariant;
use crate::ledger::{LEASE_MS, Ledger};
use crate::model;
use crate::mutant::Mutant;
use crate::people::Proc;
use crate::surroundings::class_of;
use crate::world::World;

/// Pause when the database or the bus is away, or somebody else has the claim.
const PAUSE_MS: i64 = 500;

/// A command being carried out.
pub(crate) struct Call {
    command: Rc<Envelope>,
    stage: Stage,
    epoch: u64,
    /// When the model or tool is done.
    ends: i64,
    result: Option<Told>,
}

#[derive(Clone, Copy)]
enum Stage {
    Claim,
    Act,
    Store,
    Tell,
    Acknowledge,
}

/// How a call ended, as the ledger keeps it: type and payload.
#[derive(Clone)]
struct Told {
    event_type: &'static str,
    payload: Bytes,
}

const TYPES: [&str; 4] = [
    InferenceCompleted::TYPE,
    InferenceFailed::TYPE,
    ToolCompleted::TYPE,
    ToolFailed::TYPE,
];

impl Told {
    fn new<E: Event>(command: &Envelope, event: &E) -> Result<Self, ContractError> {
        let envelope = Envelope::new(command.id.clone(), command.timestamp, event)?;
        Ok(Self {
            event_type: E::TYPE,
            payload: envelope.payload,
        })
    }

    fn failed(command: &Envelope, code: &str, detail: &str) -> Result<Self, ContractError> {
        let (code, detail) = (code.to_owned(), detail.to_owned());
        if command.event_type == InferenceRequested::TYPE {
            let failed = InferenceFailed {
                code,
                detail,
                retryable: false,
                provider: None,
                extra: Extra::new(),
            };
            return Self::new(command, &failed);
        }
        let asked: ToolRequested = command.decode()?;
        let failed = ToolFailed {
            call_id: asked.call_id,
            name: asked.name,
            code,
            detail,
            extra: Extra::new(),
        };
        Self::new(command, &failed)
    }

    fn to_bytes(&self) -> Bytes {
        let kind = TYPES.iter().position(|known| *known == self.event_type);
        let kind = u8::try_from(kind.unwrap_or_default()).unwrap_or_default();
        [&[kind], self.payload.as_ref()].concat().into()
    }

    fn from_bytes(bytes: &Bytes) -> Option<Self> {
        let kind = bytes.first()?;
        Some(Self {
            event_type: TYPES.get(usize::from(*kind))?,
            payload: bytes.slice(1..),
        })
    }
}

impl Call {
    pub(crate) fn new(command: &Rc<Envelope>) -> Self {
        Self {
            command: Rc::clone(command),
            stage: Stage::Claim,
            epoch: 0,
            ends: 0,
            result: None,
        }
    }

    fn org(&self) -> OrgId {
        self.command
            .metadata
            .org_id
            .unwrap_or(OrgId(uuid::Uuid::nil()))
    }

    fn is_model(&self) -> bool {
        self.command.event_type == InferenceRequested::TYPE
    }

    fn class(&self) -> EffectClass {
        if self.is_model() {
            return EffectClass::Inference;
        }
        let asked = self.command.decode::<ToolRequested>();
        asked.map_or(EffectClass::ReadOnly, |asked| class_of(&asked.name))
    }

    /// Goes on to store and tell this.
    fn ended(&mut self, result: Result<Told, ContractError>, next: Stage) -> Step {
        match result {
            Ok(result) => self.result = Some(result),
            // Nothing of ours is unreadable; a result that is missing is found by the invariants.
            Err(_) => return Step::DONE,
        }
        self.stage = next;
        Step::after(1)
    }
}

impl World<'_> {
    fn ledger(&mut self, call: &Call) -> &mut Ledger {
        if call.is_model() {
            &mut self.model_ledger
        } else {
            &mut self.tool_ledger
        }
    }

    /// The next thing of a call.
    pub(crate) fn call(&mut self, proc: Proc, call: &mut Call) -> Step {
        match call.stage {
            Stage::Claim => self.claim(proc, call),
            Stage::Act => self.act_out(proc, call),
            Stage::Store => self.store_result(proc, call),
            Stage::Tell => self.tell_result(proc, call),
            Stage::Acknowledge => Step::DONE,
        }
    }

    fn claim(&mut self, proc: Proc, call: &mut Call) -> Step {
        let command = Rc::clone(&call.command);
        if self
            .goes_wrong(Fault::StoreAway, command.id.as_str())
            .is_some()
        {
            return Step::Again(PAUSE_MS);
        }
        let now = self.clock(proc);
        let key = (call.org(), &command.id);
        let (about, class) = (command.metadata.conversation_id, call.class());
        let claimed = if self.is(Mutant::NoLedger) {
            Claimed::Run {
                epoch: 1,
                attempt: 1,
            }
        } else {
            self.ledger(call).claim(key, about, class, now)
        };
        match claimed {
            Claimed::Run { epoch, .. } => {
                call.epoch = epoch;
                self.admit(call, now)
            }
            Claimed::Done { result } => {
                call.result = Told::from_bytes(&result);
                call.stage = Stage::Tell;
                Step::after(1)
            }
            Claimed::Busy { until } => {
                let left = until.as_millis() - now.as_millis();
                Step::Again(left.clamp(50, 1_000))
            }
            Claimed::Erased => Step::DONE,
            Claimed::Unknown => {
                self.note(|| format!("nobody knows what became of {}", command.id));
                let told = Told::failed(&command, "unknown_outcome", "nobody knows");
                call.ended(told, Stage::Tell)
            }
        }
    }

    /// Begins, or refuses what is late or no longer wanted.
    fn admit(&mut self, call: &mut Call, now: Timestamp) -> Step {
        let command = Rc::clone(&call.command);
        let metadata = &command.metadata;
        if metadata.deadline.is_some_and(|deadline| deadline <= now) {
            let told = Told::failed(&command, "deadline_exceeded", "it came too late");
            return call.ended(told, Stage::Store);
        }
        if self.is_cancelled(metadata) {
            let told = Told::failed(&command, "cancelled", "nobody wants it any more");
            return call.ended(told, Stage::Store);
        }
        let id = command.id.as_str();
        let slow = self.goes_wrong(Fault::Slow, id);
        let takes = self.between(id, 10, 700) + slow.map_or(0, |draw| within(draw, 3_000, 50_000));
        call.ends = self.now + takes;
        call.stage = Stage::Act;
        Step::after(takes.min(LEASE_MS / 3))
    }

    fn is_cancelled(&self, metadata: &Metadata) -> bool {
        let run = metadata.run_id;
        run.is_some_and(|run| self.bus.cancelled.contains_key(&run))
    }

    /// Waits for the model or tool, keeping the claim alive.
    fn act_out(&mut self, proc: Proc, call: &mut Call) -> Step {
        let command = Rc::clone(&call.command);
        if self.now >= call.ends {
            let told = if call.is_model() {
                self.ask_model(&command)
            } else {
                self.run_tool(&command)
            };
            return call.ended(told, Stage::Store);
        }
        let now = self.clock(proc);
        let (key, epoch) = ((call.org(), &command.id), call.epoch);
        let has_ledger = !self.is(Mutant::NoLedger);
        if has_ledger && !self.ledger(call).heartbeat(key, epoch, now) {
            self.ledger(call).release(key, epoch);
            return Step::Again(PAUSE_MS);
        }
        let late = command
            .metadata
            .deadline
            .is_some_and(|deadline| deadline <= now);
        if late || self.is_cancelled(&command.metadata) {
            let code = if late {
                "deadline_exceeded"
            } else {
                "cancelled"
            };
            let told = Told::failed(&command, code, "it was stopped");
            return call.ended(told, Stage::Store);
        }
        Step::after((call.ends - self.now).min(LEASE_MS / 3))
    }

    fn ask_model(&mut self, command: &Envelope) -> Result<Told, ContractError> {
        let mut asked: InferenceRequested = command.decode()?;
        if self.is(Mutant::NoToolResults) {
            asked.messages.retain(|message| message.role != Role::Tool);
        }
        self.prompted(command);
        // What is to be summarised is told in one piece.
        if asked.purpose == Purpose::Answer
            && let Err(wrong) = history::check(&asked.messages)
        {
            let detail = format!("{} tells a model: {wrong}", command.id);
            self.violated(Invariant::WholeHistory, detail);
        }
        let said = asked
            .messages
            .iter()
            .flat_map(|message| markers(&message.content));
        self.belongs(said, command);
        if self
            .goes_wrong(Fault::ModelFails, command.id.as_str())
            .is_some()
        {
            return Told::failed(command, "provider_failed", "no answer");
        }
        Told::new(command, &model::answer(&command.id, &asked))
    }

    fn run_tool(&mut self, command: &Envelope) -> Result<Told, ContractError> {
        let asked: ToolRequested = command.decode()?;
        self.effect(command, &asked.call_id, &asked.name);
        self.belongs(markers(&asked.arguments), command);
        let result = serde_json::json!({ "did": asked.name, "with": asked.arguments });
        let completed = ToolCompleted {
            call_id: asked.call_id,
            name: asked.name,
            result,
            duration_ms: 0,
            ..ToolCompleted::default()
        };
        Told::new(command, &completed)
    }

    fn store_result(&mut self, proc: Proc, call: &mut Call) -> Step {
        let command = Rc::clone(&call.command);
        let Some(told) = &call.result else {
            return Step::DONE;
        };
        let result = told.to_bytes();
        call.stage = Stage::Tell;
        if self.is(Mutant::NoLedger) {
            return Step::after(1);
        }
        if self
            .goes_wrong(Fault::StoreAway, command.id.as_str())
            .is_some()
        {
            call.stage = Stage::Store;
            return Step::after(PAUSE_MS);
        }
        let (now, epoch) = (self.clock(proc), call.epoch);
        let key = (call.org(), &command.id);
        match self.ledger(call).complete(key, epoch, result, now) {
            Completion::Stored => Step::after(1),
            Completion::Superseded {
                result: Some(first),
            } => {
                call.result = Told::from_bytes(&first);
                Step::after(1)
            }
            Completion::Superseded { result: None } => Step::Again(PAUSE_MS),
        }
    }

    fn tell_result(&mut self, proc: Proc, call: &mut Call) -> Step {
        let command = Rc::clone(&call.command);
        let Some(told) = &call.result else {
            return Step::DONE;
        };
        let (kind, channel) = if call.is_model() {
            ("inference", channels::INFERENCE_RESPONSE)
        } else {
            ("tool", channels::TOOLS_RESULTS)
        };
        let mut envelope = Envelope::clone(&command);
        envelope.id = command.id.result(kind);
        envelope.timestamp = self.clock(proc);
        told.event_type.clone_into(&mut envelope.event_type);
        envelope.payload = told.payload.clone();
        envelope.metadata.causation_id = Some(command.id.clone());
        self.note(|| format!("{proc:?} tells {} for {}", told.event_type, command.id));
        if !self.publish(&[(channel.into(), Rc::new(envelope))]) {
            return Step::Again(PAUSE_MS);
        }
        call.stage = Stage::Acknowledge;
        Step::after(1)
    }
}
