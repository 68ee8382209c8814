//! What the ledger answers: pure, over one row.

use std::time::Duration;

use bytes::Bytes;
use nexus_contracts::Timestamp;

use super::{Claim, Claimed, Completion, EffectClass, Memory, Recalled};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What may happen when a claim ends without a result.
    pub class: EffectClass,
    /// Which claim holds it.
    pub epoch: u64,
    /// How often it was claimed.
    pub attempt: u32,
    /// Until when the claim holds; absent when nobody has one.
    pub lease_until: Option<Timestamp>,
    /// When the row may be forgotten.
    pub expires_at: Timestamp,
    /// The result, and when it was stored.
    pub result: Option<(Timestamp, Bytes)>,
    /// What it is about.
    pub about: Option<String>,
    /// What it is about is gone, and its result with it.
    pub erased: bool,
}

/// What is in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InTable {
    /// Nothing.
    #[default]
    Nothing,
    /// The row as it was.
    Earlier,
    /// Another one, whose place it takes.
    Another,
}

/// A row, if there is one, and whether it differs from what is stored.
#[derive(Debug, Default)]
pub struct Slot {
    /// The row.
    pub effect: Option<Effect>,
    /// What there is in the table.
    pub stored: InTable,
    /// Whether it must be written.
    pub changed: bool,
}

impl Slot {
    /// A row as it was read.
    #[must_use]
    pub const fn stored(effect: Effect) -> Self {
        Self {
            effect: Some(effect),
            stored: InTable::Earlier,
            changed: false,
        }
    }

    /// Whether nothing but work is lost when what is written here is: the effect is run again.
    #[must_use]
    pub fn may_run_again(&self) -> bool {
        let class = self.effect.as_ref().map(|effect| effect.class);
        let lasts = matches!(
            class,
            Some(EffectClass::Idempotent | EffectClass::AtMostOnce)
        );
        !(self.changed && lasts)
    }

    /// Answers a claim.
    pub fn claim(&mut self, claim: &Claim) -> Claimed {
        let (epoch, attempt) = match &self.effect {
            None => (1, 1),
            Some(Effect { erased: true, .. }) => return Claimed::Erased,
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
        let about = claim.about.clone();
        let result = None;
        self.effect = Some(Effect {
            class,
            epoch,
            attempt,
            lease_until,
            expires_at,
            result,
            about,
            erased: false,
        });
        self.changed = true;
        Claimed::Run { epoch, attempt }
    }

    /// The row, if this epoch still holds it.
    fn held(&mut self, epoch: u64) -> Option<&mut Effect> {
        self.effect.as_mut().filter(|effect| {
            effect.epoch == epoch
                && !effect.erased
                && effect.result.is_none()
                && effect.lease_until.is_some()
        })
    }

    /// Keeps a claim until then; false when it is lost.
    pub fn heartbeat(&mut self, epoch: u64, until: Timestamp) -> bool {
        let Some(effect) = self.held(epoch) else {
            return false;
        };
        effect.lease_until = Some(until);
        self.changed = true;
        true
    }

    /// Keeps a result, if this epoch still may.
    pub fn complete(&mut self, epoch: u64, result: Bytes, now: Timestamp) -> Completion {
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

    /// Keeps something, unless there is something that counts.
    pub fn remember(&mut self, memory: &Memory) -> bool {
        let over = |effect: &Effect| {
            effect.erased || (effect.result.is_some() && effect.expires_at <= memory.now)
        };
        let earlier = self.effect.as_ref();
        if earlier.is_some_and(|effect| !over(effect)) {
            return false;
        }
        self.effect = Some(Effect {
            class: EffectClass::ReadOnly,
            epoch: earlier.map_or(1, |effect| effect.epoch.saturating_add(1)),
            attempt: 1,
            lease_until: None,
            expires_at: memory.expires_at,
            result: Some((memory.now, memory.bytes.clone())),
            about: memory.about.clone(),
            erased: false,
        });
        self.changed = true;
        if self.stored == InTable::Earlier {
            self.stored = InTable::Another;
        }
        true
    }

    /// What is kept, if it still counts.
    #[must_use]
    pub fn recall(&self, now: Timestamp) -> Option<Recalled> {
        let effect = self.effect.as_ref()?;
        let counts = !effect.erased && effect.expires_at > now;
        let (since, bytes) = effect.result.clone().filter(|_| counts)?;
        Some(Recalled { since, bytes })
    }

    /// Gives a claim back; false when it is lost.
    pub fn release(&mut self, epoch: u64) -> bool {
        let Some(effect) = self.held(epoch) else {
            return false;
        };
        effect.lease_until = None;
        self.changed = true;
        true
    }
}

/// When a lease taken now ends.
#[must_use]
pub fn lease_end(now: Timestamp, lease: Duration) -> Timestamp {
    now.plus_millis(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
}
