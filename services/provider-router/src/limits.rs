//! What a provider takes at most, kept by all replicas together. Pure but for [`shared`].
//!
//! A meter runs as the generic cell rate algorithm (ITU-T I.371): it knows one moment, at which it will
//! be empty again. Replicas do not ask it for every call: each takes a block, about a second's
//! worth, and draws on that.

pub mod shared;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a provider takes at most: `limits` in `providers.yaml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Most tokens a minute, of prompts and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
}

impl Limits {
    /// Whether there is none.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.requests_per_minute.is_none() && self.tokens_per_minute.is_none()
    }
}

const MINUTE: u64 = 60_000_000_000;

/// How much of a minute may be used at once by somebody who was quiet before. A provider counts in
/// windows of its own, so a whole minute at once could meet two of them.
const BURST: u64 = MINUTE / 6;

/// One limit, as all replicas share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// When everything that was taken will have been earned again, in nanoseconds since 1970.
    pub earned_at: u64,
}

/// What a meter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is yours; the meter afterwards.
    Yes(Meter),
    /// Not yet: after this long.
    After(Duration),
}

impl Meter {
    /// Takes `count` of a limit of `per_minute`, at `now` in nanoseconds since 1970. What is more than
    /// the limit lets through at once is let through when nothing else is under way: it would never
    /// fit otherwise.
    #[must_use]
    pub fn take(self, per_minute: u64, count: u64, now: u64) -> Taken {
        let each = u128::from(MINUTE) / u128::from(per_minute.max(1));
        let cost = u64::try_from(each.saturating_mul(u128::from(count))).unwrap_or(u64::MAX);
        let from = self.earned_at.max(now);
        let earned_at = from.saturating_add(cost);
        let limit = now.saturating_add(BURST.max(cost));
        if earned_at <= limit {
            return Taken::Yes(Self { earned_at });
        }
        Taken::After(Duration::from_nanos(earned_at - limit))
    }

    /// How much of the limit is in use, 0 to 1 and above, at `now`.
    #[must_use]
    pub fn used(self, now: u64) -> f64 {
        let ahead = Duration::from_nanos(self.earned_at.saturating_sub(now));
        ahead.as_secs_f64() / Duration::from_nanos(BURST).as_secs_f64()
    }
}

/// What a replica has taken and not used yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    /// Below nothing when an answer was longer than expected.
    left: i64,
    /// When it was taken, in nanoseconds since 1970.
    taken_at: u64,
}

/// For how long what was taken may be used: later it would come on top of what others have taken.
const FRESH: u64 = 5_000_000_000;

impl Purse {
    /// Pays `count` out of it, if there is enough.
    pub fn pay(&mut self, count: u64, now: u64) -> bool {
        if self.left > 0 && now.saturating_sub(self.taken_at) > FRESH {
            self.left = 0;
        }
        let count = whole(count);
        let enough = self.left >= count;
        if enough {
            self.left -= count;
        }
        enough
    }

    /// How much to take so that `count` can be paid: what is owed, and if all goes well a second's
    /// worth besides.
    #[must_use]
    pub fn wants(&self, count: u64, per_minute: u64) -> [u64; 2] {
        let owed = self.left.min(0).unsigned_abs();
        let least = count.saturating_add(owed);
        [least.saturating_add(per_minute / 60), least]
    }

    /// Puts into it what was taken.
    pub fn fill(&mut self, count: u64, now: u64) {
        self.left = self.left.saturating_add(whole(count));
        self.taken_at = now;
    }

    /// It took `used` and not `expected`.
    pub fn correct(&mut self, expected: u64, used: u64) {
        self.left = self
            .left
            .saturating_add(whole(expected))
            .saturating_sub(whole(used));
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert, proptest};

    use super::{Meter, Purse, Taken};

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1_700_000_000 * SECOND;

    #[test]
    fn ten_seconds_worth_at_once_and_then_one_by_one() {
        let mut meter = Meter::default();
        for _ in 0..10 {
            let Taken::Yes(after) = meter.take(60, 1, NOW) else {
                panic!("the first ten are free");
            };
            meter = after;
        }
        assert_eq!(meter.take(60, 1, NOW), Taken::After(Duration::from_secs(1)));
        assert!(matches!(meter.take(60, 1, NOW + SECOND), Taken::Yes(_)));
        assert!((meter.used(NOW) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_larger_than_the_limit_goes_when_all_is_quiet() {
        let Taken::Yes(meter) = Meter::default().take(60, 600, NOW) else {
            panic!("it would never fit");
        };
        let wait = meter.take(60, 1, NOW);
        assert_eq!(wait, Taken::After(Duration::from_secs(600 + 1 - 10)));
    }

    #[test]
    fn a_purse_pays_owes_and_forgets() {
        let mut purse = Purse::default();
        assert!(!purse.pay(5, NOW));
        assert_eq!(purse.wants(5, 600), [15, 5]);
        purse.fill(15, NOW);
        assert!(purse.pay(5, NOW) && purse.pay(10, NOW) && !purse.pay(1, NOW));
        // The answer was longer than expected: that is owed.
        purse.correct(10, 30);
        assert_eq!(purse.wants(1, 0), [21, 21]);
        purse.fill(31, NOW);
        assert!(purse.pay(1, NOW) && !purse.pay(9, NOW + 6 * SECOND));
    }

    proptest! {
        /// Whatever is asked when, no more is let through than the limit and one burst.
        #[test]
        fn never_more_than_the_limit(
            asks in proptest::collection::vec((1..5_u64, 0..3_000_u64), 1..200), per_minute in 30..600_u64,
        ) {
            let (mut meter, mut now, mut granted) = (Meter::default(), NOW, 0);
            for (count, later) in asks {
                now += later * 1_000_000;
                if let Taken::Yes(after) = meter.take(per_minute, count, now) {
                    meter = after;
                    granted += count;
                }
            }
            // A burst of a sixth, what time has earned, and one that was too large for the burst.
            let earned = (now - NOW).div_ceil(SECOND) * per_minute / 60;
            prop_assert!(granted <= per_minute / 6 + earned + 5 + 1, "{granted} of {earned}");
        }
    }
}
