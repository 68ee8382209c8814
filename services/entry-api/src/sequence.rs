//! Numbers messages in the order of first storage.

use nexus_contracts::Timestamp;
use parking_lot::Mutex;

/// Ever growing, across restarts too (as long as the clock goes forward): milliseconds since 1970
/// times 1,000, and the next one up where a millisecond brings more.
#[derive(Debug, Default)]
pub struct Sequence(Mutex<i64>);

impl Sequence {
    /// The first of `count` numbers.
    pub fn next(&self, now: Timestamp, count: usize) -> i64 {
        let mut last = self.0.lock();
        let first = last
            .saturating_add(1)
            .max(now.as_millis().saturating_mul(1000));
        *last = first
            .saturating_add(i64::try_from(count).unwrap_or(i64::MAX))
            .saturating_sub(1);
        first
    }
}
