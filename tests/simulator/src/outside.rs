//! The world outside: what tools did to it, what models were asked, what people saw.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use nexus_contracts::{Envelope, MessageId, OrgId, RunId};
use nexus_store::EffectClass;

use crate::invariant::Invariant;
use crate::surroundings::{NEEDS_APPROVAL, class_of};
use crate::world::World;

/// What happened out there.
#[derive(Default)]
pub(crate) struct Outside {
    /// How often an at-most-once tool took effect, by command.
    done: BTreeMap<MessageId, u32>,
    /// The keys an idempotent tool was called with, by the call of the model.
    keys: BTreeMap<(RunId, u32, String), BTreeSet<MessageId>>,
    /// Calls a person approved, with the arguments shown.
    pub(crate) approved: BTreeSet<MessageId>,
    /// What models were asked, by command, and how often.
    prompts: BTreeMap<MessageId, (u32, Bytes)>,
    /// What a reply said when it first arrived.
    replies: BTreeMap<(OrgId, MessageId), Bytes>,
    /// How often people saw a reply.
    shown: BTreeMap<(OrgId, MessageId), u32>,
}

impl World<'_> {
    /// A tool takes effect.
    pub(crate) fn effect(&mut self, command: &Envelope, call_id: &str, tool: &str) {
        let id = &command.id;
        self.note(|| format!("the tool {tool} takes effect for {id}"));
        if tool == NEEDS_APPROVAL && !self.outside.approved.contains(id) {
            let detail = format!("{tool} took effect for {id}, which nobody approved");
            self.violated(Invariant::EffectsOnce, detail);
        }
        let once = match class_of(tool) {
            EffectClass::AtMostOnce => {
                let times = self.outside.done.entry(id.clone()).or_default();
                *times += 1;
                *times == 1
            }
            EffectClass::Idempotent => {
                let metadata = &command.metadata;
                let run = metadata.run_id.unwrap_or(RunId(uuid::Uuid::nil()));
                let call = (run, metadata.step.unwrap_or_default(), call_id.to_owned());
                let keys = self.outside.keys.entry(call).or_default();
                keys.insert(id.clone());
                keys.len() == 1
            }
            EffectClass::Inference | EffectClass::ReadOnly => true,
        };
        if !once {
            let detail = format!("{tool} took effect for {id} more than once");
            self.violated(Invariant::EffectsOnce, detail);
        }
    }

    /// A model is asked: the same command asks the same.
    pub(crate) fn prompted(&mut self, command: &Envelope) {
        let first = (0, command.payload.clone());
        let (times, prompt) = self
            .outside
            .prompts
            .entry(command.id.clone())
            .or_insert(first);
        *times += 1;
        let (is_extra, differs) = (*times > 1, *prompt != command.payload);
        self.counts.extra_model_calls += u64::from(is_extra);
        if differs {
            let detail = format!(
                "{} asked a model something else the second time",
                command.id
            );
            self.violated(Invariant::WholeHistory, detail);
        }
    }

    /// A reply arrives at an adapter or client: however often, it says the same.
    pub(crate) fn arrived(&mut self, reply: &Envelope) {
        let Some(org) = reply.metadata.org_id else {
            return self.violated(
                Invariant::Isolated,
                format!("{} has no organisation", reply.id),
            );
        };
        let first = self.outside.replies.entry((org, reply.id.clone()));
        if *first.or_insert_with(|| reply.payload.clone()) != reply.payload {
            let detail = format!(
                "{} of type {} has another text now",
                reply.id, reply.event_type
            );
            self.violated(Invariant::OneDelivery, detail);
        }
    }

    /// People see a reply.
    pub(crate) fn show(&mut self, reply: &Envelope) {
        let Some(org) = reply.metadata.org_id else {
            return;
        };
        self.note(|| format!("people see {} {}", reply.event_type, reply.id));
        let times = self
            .outside
            .shown
            .entry((org, reply.id.clone()))
            .or_default();
        *times += 1;
        if *times > 1 {
            let detail = format!("{} of type {} was shown again", reply.id, reply.event_type);
            self.violated(Invariant::OneDelivery, detail);
        }
    }
}
