//! Time and new ids: passed in, never global, so that a test holds both in its hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_contracts::Timestamp;
use uuid::{NoContext, Uuid};

/// Tells the time.
pub trait TimeSource: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The time and fresh ids. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn TimeSource>);

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(SystemTimeSource))
    }

    /// A clock that moves only when told to.
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let millis = Arc::new(AtomicI64::new(start.as_millis()));
        let hand = ManualClock(Arc::clone(&millis));
        (Self(Arc::new(ManualClock(millis))), hand)
    }

    /// A clock over a source of one's own.
    #[must_use]
    pub fn over(source: Arc<dyn TimeSource>) -> Self {
        Self(source)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// A new `UUIDv7` of this clock's time: sortable, its last 74 bits random.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        let millis = u64::try_from(self.now().as_millis()).unwrap_or_default();
        let nanos = u32::try_from(millis % 1000).unwrap_or_default() * 1_000_000;
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, millis / 1000, nanos))
    }
}

struct SystemTimeSource;

impl TimeSource for SystemTimeSource {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The hand of a clock that stands still. Moves every clone of its clock.
#[derive(Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the clock.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.as_millis(), Ordering::SeqCst);
    }
}

impl TimeSource for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_when_told_and_ids_carry_its_time() {
        let (clock, hand) = Clock::manual(Timestamp::from_millis(1_700_000_000_123));
        let (first, second) = (clock.new_id(), clock.new_id());
        assert_ne!(first, second);
        hand.advance(Duration::from_secs(2));
        assert_eq!(clock.now().as_millis(), 1_700_000_002_123);
        let (seconds, nanos) = clock.new_id().get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos / 1_000_000), (1_700_000_002, 123));
        assert!(clock.new_id() > first, "ids sort by time");
        hand.set(Timestamp::from_millis(5));
        assert_eq!(clock.now().as_millis(), 5);
    }

    #[test]
    fn the_system_clock_tells_the_present() {
        assert!(
            Clock::system().now().as_millis() > 1_760_000_000_000,
            "later than 2025"
        );
    }
}
