//! Waiting longer after every failure, with jitter, so that many workers do not come back at once.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::Clock;

/// Doubling delays up to a maximum; each is drawn between half of itself and itself.
#[derive(Debug)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
    random: SmallRng,
}

impl Backoff {
    /// Delays from `base` to `max`. The same seed gives the same delays.
    #[must_use]
    pub fn new(base: Duration, max: Duration, seed: u64) -> Self {
        Self {
            base,
            max,
            failures: 0,
            random: SmallRng::seed_from_u64(seed),
        }
    }

    /// What loops of the kit use: 100 ms to 5 s, seeded from a new id.
    #[must_use]
    pub fn of_loop(clock: &Clock) -> Self {
        Self::new(
            Duration::from_millis(100),
            Duration::from_secs(5),
            seed(clock),
        )
    }

    /// How long to wait after one more failure.
    pub fn next_delay(&mut self) -> Duration {
        let full = self
            .base
            .saturating_mul(1 << self.failures.min(16))
            .min(self.max);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(self.random.random_range(0.5..=1.0))
    }

    /// `around` ± 20 %, for what repeats.
    pub fn jittered(&mut self, around: Duration) -> Duration {
        around.mul_f64(self.random.random_range(0.8..=1.2))
    }

    /// It worked: the next failure waits `base` again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether the last try failed.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

/// A seed no other loop has.
fn seed(clock: &Clock) -> u64 {
    let bytes = clock.new_id().into_bytes();
    bytes
        .iter()
        .rev()
        .take(8)
        .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_and_start_over() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(100), millis(5000), 7);
        for full in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let delay = backoff.next_delay();
            assert!(
                (millis(full / 2)..=millis(full)).contains(&delay),
                "{full}: {delay:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next_delay() <= millis(100));
    }

    #[test]
    fn the_same_seed_gives_the_same_delays_and_workers_differ() {
        let delays = |seed| {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1), seed);
            (0..8).map(|_| backoff.next_delay()).collect::<Vec<_>>()
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
        let clock = Clock::system();
        assert_ne!(seed(&clock), seed(&clock));
    }
}
