//! What the ledger answers: pure, over one row.

use std::time::Duration;

use bytes::Bytes;
use nexus_contracts::Timestamp;

use super::{Claim, Claimed, Completion, EffectClass};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) class: EffectClass,
    pub(super) epoch: u64,
    pub(super) attempt: u32,
    pub(super) lease_until: Option<Timestamp>,
    pub(super) expires_at: Timestamp,
    /// The result, and when it was stored.
    pub(super) result: Option<(Timestamp, Bytes)>,
}

/// A row, if there is one, and whether it differs from what is stored.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) effect: Option<Effect>,
    pub(super) stored: bool,
    pub(super) changed: bool,
}

impl Slot {
    pub(super) const fn stored(effect: Effect) -> Self {
        Self {
            effect: Some(effect),
            stored: true,
            changed: false,
        }
    }

    pub(super) fn claim(&mut self, claim: &Claim) -> Claimed {
        let (epoch, attempt) = match &self.effect {
            None => (1, 1),
            Some(Effect {
                result: Some((_, result)),
                ..
            }) => {
                return Claimed::Done {
                    result: result.clone(),
                };
            }
            Some(Effect {
                lease_until: Some(until),
                ..
            }) if *until > claim.now => {
                return Claimed::Busy { until: *until };
            }
            Some(Effect {
                lease_until: Some(_),
                class: EffectClass::AtMostOnce,
                ..
            }) => {
                return Claimed::Unknown;
            }
            Some(effect) => (effect.epoch + 1, effect.attempt.saturating_add(1)),
        };
        let (class, expires_at) = match &self.effect {
            None => (claim.class, claim.expires_at),
            Some(effect) => (effect.class, effect.expires_at.max(claim.expires_at)),
        };
        let lease_until = Some(lease_end(claim.now, claim.lease));
        let result = None;
        self.effect = Some(Effect {
            class,
            epoch,
            attempt,
            lease_until,
            expires_at,
            result,
        });
        self.changed = true;
        Claimed::Run { epoch, attempt }
    }

    /// The row, if this epoch still holds it.
    fn held(&mut self, epoch: u64) -> Option<&mut Effect> {
        self.effect.as_mut().filter(|effect| {
            effect.epoch == epoch && effect.result.is_none() && effect.lease_until.is_some()
        })
    }

    pub(super) fn heartbeat(&mut self, epoch: u64, until: Timestamp) -> bool {
        let Some(effect) = self.held(epoch) else {
            return false;
        };
        effect.lease_until = Some(until);
        self.changed = true;
        true
    }

    pub(super) fn complete(&mut self, epoch: u64, result: Bytes, now: Timestamp) -> Completion {
        let Some(effect) = self.held(epoch) else {
            let stored = self
                .effect
                .as_ref()
                .and_then(|effect| effect.result.as_ref());
            return Completion::Superseded {
                result: stored.map(|(_, result)| result.clone()),
            };
        };
        effect.result = Some((now, result));
        effect.lease_until = None;
        self.changed = true;
        Completion::Stored
    }

    pub(super) fn release(&mut self, epoch: u64) -> bool {
        let Some(effect) = self.held(epoch) else {
            return false;
        };
        effect.lease_until = None;
        self.changed = true;
        true
    }
}

/// When a lease taken now ends.
pub(super) fn lease_end(now: Timestamp, lease: Duration) -> Timestamp {
    now.plus_millis(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
}
