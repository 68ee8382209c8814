//! How long a server that ended waits before it is started again.

use std::time::Duration;

use crate::config::Restart;

/// The wait before the try that follows `attempt` failed ones (0: the first failure).
///
/// Doubles from `restart.first` up to `restart.most`; `random`, in 0..=1, places it between half
/// of that and all of it, so that servers that fell together do not come back together.
#[must_use]
pub fn delay(restart: &Restart, attempt: u32, random: f64) -> Duration {
    let full = restart
        .first
        .saturating_mul(1 << attempt.min(16))
        .min(restart.most);
    let share = if random.is_finite() {
        random.clamp(0.0, 1.0)
    } else {
        1.0
    };
    full.mul_f64(share.mul_add(0.5, 0.5))
}

/// How many failures count for the next wait, after a try that held for `up`.
pub(crate) fn failures(restart: &Restart, before: u32, up: Duration) -> u32 {
    if up >= restart.stable {
        0
    } else {
        before.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_is_never_nothing_and_never_more_than_the_most(attempt: u32, random: f64) {
            let restart = Restart::default();
            let wait = delay(&restart, attempt, random);
            prop_assert!(wait >= restart.first / 2);
            prop_assert!(wait <= restart.most);
        }

        #[test]
        fn waits_grow_with_the_attempt_and_with_the_draw(
            attempt in 0_u32..40, low in 0.0_f64..=1.0, high in 0.0_f64..=1.0,
        ) {
            let restart = Restart::default();
            prop_assert!(delay(&restart, attempt, low) <= delay(&restart, attempt + 1, low));
            let (low, high) = (low.min(high), low.max(high));
            prop_assert!(delay(&restart, attempt, low) <= delay(&restart, attempt, high));
        }
    }

    #[test]
    fn only_a_try_that_held_forgets_the_failures() {
        let restart = Restart::default();
        assert_eq!(failures(&restart, 4, Duration::from_secs(1)), 5);
        assert_eq!(failures(&restart, 4, restart.stable), 0);
        assert_eq!(failures(&restart, u32::MAX, Duration::ZERO), u32::MAX);
    }
}
