//! An effect ledger in memory: the real decisions over rows that never leave it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use nexus_contracts::{ConversationId, MessageId, OrgId, Timestamp};
use nexus_store::ledger::decide::{Slot, lease_end};
use nexus_store::{Claim, Claimed, Completion, EffectClass};

/// How long a claim holds without a heartbeat.
pub(crate) const LEASE_MS: i64 = 6_000;

const LEASE: Duration = Duration::from_millis(LEASE_MS.unsigned_abs());

/// The ledger of one service, shared by its replicas.
#[derive(Default)]
pub(crate) struct Ledger {
    slots: BTreeMap<(OrgId, MessageId), Slot>,
    /// Conversations whose effects are erased, those claimed later too.
    erased: BTreeSet<(OrgId, ConversationId)>,
}

impl Ledger {
    /// Asks for the right to perform an effect.
    pub(crate) fn claim(
        &mut self,
        (org, id): (OrgId, &MessageId),
        about: Option<ConversationId>,
        class: EffectClass,
        now: Timestamp,
    ) -> Claimed {
        if about.is_some_and(|about| self.erased.contains(&(org, about))) {
            return Claimed::Erased;
        }
        let slot = self.slots.entry((org, id.clone())).or_default();
        slot.claim(&Claim {
            org,
            id: id.clone(),
            about: about.map(|about| about.to_string()),
            class,
            now,
            lease: LEASE,
            expires_at: Timestamp::from_millis(i64::MAX),
        })
    }

    /// Keeps a claim; false when it is lost.
    pub(crate) fn heartbeat(
        &mut self,
        (org, id): (OrgId, &MessageId),
        epoch: u64,
        now: Timestamp,
    ) -> bool {
        let slot = self.slots.get_mut(&(org, id.clone()));
        slot.is_some_and(|slot| slot.heartbeat(epoch, lease_end(now, LEASE)))
    }

    /// Stores a result, if the claim still holds.
    pub(crate) fn complete(
        &mut self,
        (org, id): (OrgId, &MessageId),
        epoch: u64,
        result: Bytes,
        now: Timestamp,
    ) -> Completion {
        match self.slots.get_mut(&(org, id.clone())) {
            Some(slot) => slot.complete(epoch, result, now),
            None => Completion::Superseded { result: None },
        }
    }

    /// Gives a claim back.
    pub(crate) fn release(&mut self, (org, id): (OrgId, &MessageId), epoch: u64) {
        if let Some(slot) = self.slots.get_mut(&(org, id.clone())) {
            slot.release(epoch);
        }
    }

    /// Erases everything about a conversation, as the ledger's statement does.
    pub(crate) fn erase(&mut self, org: OrgId, conversation: ConversationId) {
        self.erased.insert((org, conversation));
        let about = Some(conversation.to_string());
        let rows = self.slots.iter_mut();
        let rows = rows.filter(|((whose, _), _)| *whose == org);
        for effect in rows.filter_map(|(_, slot)| slot.effect.as_mut()) {
            if effect.about == about && !effect.erased {
                effect.result = None;
                effect.lease_until = None;
                effect.epoch += 1;
                effect.erased = true;
            }
        }
    }

    /// What is stored about a conversation.
    pub(crate) fn about(&self, org: OrgId, conversation: ConversationId) -> Vec<&Bytes> {
        let about = Some(conversation.to_string());
        let rows = self.slots.iter().filter(|((whose, _), _)| *whose == org);
        let effects = rows.filter_map(|(_, slot)| slot.effect.as_ref());
        let effects = effects.filter(|effect| effect.about == about);
        effects
            .filter_map(|effect| effect.result.as_ref().map(|(_, result)| result))
            .collect()
    }
}
