//! Those who store content: they hear what became of conversations, erase what is deleted, and
//! confirm everything.

use std::rc::Rc;

use nexus_contracts::events::{ConversationDeleted, Event, ReceiptRecorded};
use nexus_contracts::{Envelope, Extra, MessageId, Metadata, channels, derive_id};

use crate::faults::Fault;
use crate::flow::Step;
use crate::invariant::Invariant;
use crate::mutant::Mutant;
use crate::people::{Door, Keeper, Proc};
use crate::world::World;

/// Pause when the database or the bus is away.
const AWAY_MS: i64 = 1_000;

/// A fact being taken in.
pub(crate) struct Keeping {
    keeper: Keeper,
    fact: Rc<Envelope>,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Commit,
    Confirm,
    Acknowledge,
}

impl Keeping {
    pub(crate) fn new(keeper: Keeper, fact: &Rc<Envelope>) -> Self {
        Self {
            keeper,
            fact: Rc::clone(fact),
            stage: Stage::Commit,
        }
    }
}

impl World<'_> {
    /// The next thing of a fact.
    pub(crate) fn keep(&mut self, proc: Proc, keeping: &mut Keeping) -> Step {
        let fact = Rc::clone(&keeping.fact);
        match keeping.stage {
            Stage::Commit => {
                if self
                    .goes_wrong(Fault::StoreAway, fact.id.as_str())
                    .is_some()
                {
                    return Step::Again(AWAY_MS);
                }
                if fact.event_type == ConversationDeleted::TYPE {
                    self.erase(proc, keeping.keeper, &fact);
                } else if keeping.keeper == Keeper::Recorder {
                    self.archive(&fact);
                }
                keeping.stage = Stage::Confirm;
                Step::after(1)
            }
            Stage::Confirm => {
                if !self.confirm(proc, &fact, keeping.keeper.name()) {
                    return Step::Again(AWAY_MS);
                }
                keeping.stage = Stage::Acknowledge;
                Step::after(1)
            }
            Stage::Acknowledge => Step::DONE,
        }
    }

    fn erase(&mut self, proc: Proc, keeper: Keeper, fact: &Envelope) {
        let metadata = &fact.metadata;
        let (Some(org), Some(id)) = (metadata.org_id, metadata.conversation_id) else {
            let detail = format!("{} does not say what is gone", fact.id);
            return self.violated(Invariant::Erased, detail);
        };
        if self.is(Mutant::NoErasure) {
            return;
        }
        let now = self.clock(proc);
        let door = match keeper {
            Keeper::Recorder => return self.recorder.erase(org, id),
            Keeper::Router => return self.model_ledger.erase(org, id),
            Keeper::Tools => return self.tool_ledger.erase(org, id),
            Keeper::Api => Door::Api,
            Keeper::Chat => Door::Chat,
        };
        if let Some(adapter) = self.adapters.get_mut(&door) {
            adapter.erase(org, id, now);
        }
    }

    /// Says that a message was kept. False: the bus is away.
    pub(crate) fn confirm(&mut self, proc: Proc, kept: &Envelope, by: &str) -> bool {
        let event = ReceiptRecorded {
            ids: vec![kept.id.clone()],
            by: by.to_owned(),
            extra: Extra::new(),
        };
        let parts = [
            b"receipt".as_slice(),
            by.as_bytes(),
            kept.id.as_str().as_bytes(),
        ];
        let id = MessageId::from(derive_id(parts));
        let Ok(receipt) = Envelope::new(id, self.clock(proc), &event) else {
            return false;
        };
        let receipt = receipt.with_metadata(Metadata {
            org_id: kept.metadata.org_id,
            ..Metadata::default()
        });
        self.publish(&[(channels::RECEIPTS.into(), Rc::new(receipt))])
    }
}
