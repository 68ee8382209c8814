//! Leaving alone what fails elsewhere, and trying it again with care. Pure: the time is passed in.
//!
//! Failures open the breaker when there are enough of them and they are at least half of the calls
//! within a window. Open, it refuses; after its cooldown one call is let through as a probe, and
//! decides. Being limited (429) is no failure: what is called works, and rests for as long as it asked.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Span;

/// Parts of the window that are forgotten one by one.
const SLOTS: u64 = 10;

/// How long is waited for a probe that takes its time, in milliseconds.
const SOON: Millis = 500;

/// How easily a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerPolicy {
    /// Fewest failures within the window.
    pub failures: u32,
    /// How long a failure counts.
    #[serde(with = "crate::config::duration")]
    #[schemars(with = "Span")]
    pub window: Duration,
    /// How long it is left alone; twice as long each time the probe fails.
    #[serde(with = "crate::config::duration")]
    #[schemars(with = "Span")]
    pub cooldown: Duration,
    /// Never longer than this.
    #[serde(with = "crate::config::duration")]
    #[schemars(with = "Span")]
    pub max_cooldown: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(30),
            cooldown: Duration::from_secs(10),
            max_cooldown: Duration::from_mins(5),
        }
    }
}

/// A moment, in milliseconds since any fixed one.
pub type Millis = u64;

/// What a breaker says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Go on.
    Yes,
    /// Go on, and be the one whose outcome decides.
    Probe,
    /// Not before this moment.
    NotBefore(Millis),
}

/// What a breaker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Letting everything through.
    Closed,
    /// Letting nothing through: it failed.
    Open,
    /// Waiting for what the probe says.
    HalfOpen,
    /// Letting nothing through: it asked to be left alone.
    Resting,
}

/// The breaker of one thing that is called: a model of a provider, a tool.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    slots: [Slot; SLOTS as usize],
    /// Until when it lets nothing through, because of failures.
    open_until: Option<Millis>,
    /// How often in a row it has opened.
    opened: u32,
    /// When the probe that is out began.
    probing: Option<Millis>,
    /// Until when it lets nothing through, because it asked for that.
    resting_until: Millis,
}

/// What happened in one part of the window.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Which part it is, counted from the fixed moment.
    number: u64,
    good: u32,
    bad: u32,
}

impl Breaker {
    /// Whether a call may be made.
    pub fn admit(&mut self, policy: &BreakerPolicy, now: Millis) -> Admission {
        if now < self.resting_until {
            return Admission::NotBefore(self.resting_until);
        }
        let Some(until) = self.open_until else {
            return Admission::Yes;
        };
        if now < until {
            return Admission::NotBefore(until);
        }
        // A probe that never came back must not keep everything out for ever.
        let patience = millis(policy.max_cooldown);
        match self.probing {
            Some(began) if now < began.saturating_add(patience) => {
                // Nobody knows when it comes back; not sooner than it is worth asking again.
                let usual = began.saturating_add(millis(policy.cooldown));
                Admission::NotBefore(usual.max(now.saturating_add(SOON)))
            }
            _ => {
                self.probing = Some(now);
                Admission::Probe
            }
        }
    }

    /// A call was answered.
    pub fn succeeded(&mut self, policy: &BreakerPolicy, now: Millis) {
        if self.probing.take().is_some() {
            *self = Self::default();
        }
        if let Some(slot) = self.slot(policy, now) {
            slot.good = slot.good.saturating_add(1);
        }
    }

    /// A call failed on the other side.
    pub fn failed(&mut self, policy: &BreakerPolicy, now: Millis) {
        if self.probing.take().is_some() {
            self.open(policy, now);
            return;
        }
        if let Some(slot) = self.slot(policy, now) {
            slot.bad = slot.bad.saturating_add(1);
        }
        let (good, bad) = self.counts(policy, now);
        if self.open_until.is_none() && bad >= policy.failures.max(1) && bad >= good {
            self.open(policy, now);
        }
    }

    /// It asked to be left alone until then.
    pub fn limited(&mut self, until: Millis) {
        self.probing = None;
        self.resting_until = self.resting_until.max(until);
    }

    /// A call ended without saying anything about what was called.
    pub const fn unused(&mut self) {
        self.probing = None;
    }

    /// What it is doing, and until when.
    #[must_use]
    pub fn state(&self, now: Millis) -> (State, Option<Millis>) {
        match self.open_until {
            Some(until) if now < until => (State::Open, Some(until)),
            _ if now < self.resting_until => (State::Resting, Some(self.resting_until)),
            Some(_) => (State::HalfOpen, None),
            None => (State::Closed, None),
        }
    }

    /// Good and bad calls within the window.
    #[must_use]
    pub fn counts(&self, policy: &BreakerPolicy, now: Millis) -> (u32, u32) {
        let oldest = (now / slot_millis(policy)).saturating_sub(SLOTS - 1);
        let recent = self.slots.iter().filter(|slot| slot.number >= oldest);
        recent.fold((0, 0), |(good, bad), slot| {
            (slot.good.saturating_add(good), slot.bad.saturating_add(bad))
        })
    }

    fn open(&mut self, policy: &BreakerPolicy, now: Millis) {
        let doubled = policy
            .cooldown
            .saturating_mul(1_u32.checked_shl(self.opened).unwrap_or(u32::MAX));
        let rest = doubled.min(policy.max_cooldown.max(policy.cooldown));
        self.open_until = Some(now.saturating_add(millis(rest)));
        self.opened = self.opened.saturating_add(1);
        self.slots = Default::default();
    }

    fn slot(&mut self, policy: &BreakerPolicy, now: Millis) -> Option<&mut Slot> {
        let number = now / slot_millis(policy);
        let place = usize::try_from(number % SLOTS).unwrap_or(0);
        let slot = self.slots.get_mut(place)?;
        if slot.number != number {
            *slot = Slot {
                number,
                ..Slot::default()
            };
        }
        Some(slot)
    }
}

fn slot_millis(policy: &BreakerPolicy) -> u64 {
    (millis(policy.window) / SLOTS).max(1)
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::{Admission, Breaker, BreakerPolicy, State};

    const NOW: u64 = 1_000_000;

    fn policy() -> BreakerPolicy {
        BreakerPolicy {
            failures: 3,
            ..BreakerPolicy::default()
        }
    }

    /// One that has just failed three times.
    fn open() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            breaker.failed(&policy(), NOW);
        }
        breaker
    }

    #[test]
    fn enough_failures_open_it_and_a_good_probe_closes_it() {
        let (policy, mut breaker) = (policy(), open());
        assert_eq!(breaker.state(NOW), (State::Open, Some(NOW + 10_000)));
        let refused = Admission::NotBefore(NOW + 10_000);
        assert_eq!(breaker.admit(&policy, NOW + 9_999), refused);
        assert_eq!(breaker.admit(&policy, NOW + 10_000), Admission::Probe);
        assert_eq!(breaker.state(NOW + 10_000).0, State::HalfOpen);
        // One at a time.
        let second = breaker.admit(&policy, NOW + 10_001);
        assert!(matches!(second, Admission::NotBefore(_)), "{second:?}");
        breaker.succeeded(&policy, NOW + 10_500);
        assert_eq!(breaker.state(NOW + 10_500), (State::Closed, None));
        assert_eq!(breaker.admit(&policy, NOW + 10_500), Admission::Yes);
    }

    #[test]
    fn a_bad_probe_doubles_the_wait_up_to_the_most() {
        let (policy, mut breaker) = (policy(), open());
        let mut now = NOW;
        for wait in [20, 40, 80, 160, 300, 300] {
            now = breaker.state(now).1.unwrap();
            assert_eq!(breaker.admit(&policy, now), Admission::Probe);
            breaker.failed(&policy, now);
            assert_eq!(breaker.state(now), (State::Open, Some(now + wait * 1000)));
        }
    }

    #[test]
    fn a_probe_that_says_nothing_lets_another_one_try() {
        let (policy, mut breaker) = (policy(), open());
        assert_eq!(breaker.admit(&policy, NOW + 10_000), Admission::Probe);
        breaker.unused();
        assert_eq!(breaker.admit(&policy, NOW + 10_000), Admission::Probe);
        // And so does one that never comes back.
        assert_eq!(breaker.admit(&policy, NOW + 400_000), Admission::Probe);
    }

    #[test]
    fn a_few_failures_among_many_answers_are_nothing() {
        let (policy, mut breaker) = (policy(), Breaker::default());
        for _ in 0..10 {
            breaker.succeeded(&policy, NOW);
        }
        for _ in 0..9 {
            breaker.failed(&policy, NOW);
        }
        assert_eq!(breaker.state(NOW).0, State::Closed);
        breaker.failed(&policy, NOW);
        assert_eq!(breaker.state(NOW).0, State::Open);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let (policy, mut breaker) = (policy(), Breaker::default());
        breaker.failed(&policy, NOW);
        breaker.failed(&policy, NOW);
        breaker.failed(&policy, NOW + 31_000);
        assert_eq!(breaker.state(NOW + 31_000).0, State::Closed);
        assert_eq!(breaker.counts(&policy, NOW + 31_000), (0, 1));
    }

    #[test]
    fn being_limited_is_a_rest_and_no_failure() {
        let (policy, mut breaker) = (policy(), Breaker::default());
        breaker.limited(NOW + 7_000);
        assert_eq!(breaker.state(NOW), (State::Resting, Some(NOW + 7_000)));
        let refused = Admission::NotBefore(NOW + 7_000);
        assert_eq!(breaker.admit(&policy, NOW), refused);
        assert_eq!(breaker.admit(&policy, NOW + 7_000), Admission::Yes);
        assert_eq!(breaker.counts(&policy, NOW), (0, 0));
    }

    proptest! {
        /// Whatever happens, it lets somebody through again, and never says "not before" a past moment.
        #[test]
        fn never_shut_for_good(events in proptest::collection::vec((0..5_u8, 0..60_000_u64), 0..200)) {
            let (policy, mut breaker, mut now) = (policy(), Breaker::default(), NOW);
            for (event, later) in events {
                now += later;
                match event {
                    0 => breaker.succeeded(&policy, now),
                    1 => breaker.failed(&policy, now),
                    2 => breaker.limited(now + 1000),
                    3 => breaker.unused(),
                    _ => if let Admission::NotBefore(then) = breaker.admit(&policy, now) {
                        prop_assert!(then > now);
                    }
                }
            }
            let admitted = breaker.admit(&policy, now + 600_001);
            prop_assert!(!matches!(admitted, Admission::NotBefore(_)), "{admitted:?}");
        }
    }
}
