//! Who has what of a group, in memory: the one owner of the file is the only one to know. Pure:
//! time is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// One entry handed to one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) seq: u64,
    /// This time included.
    pub(super) attempts: u32,
    /// Counts the group's claims; tells this delivery from an earlier one of the same entry.
    pub(super) lease: u64,
    /// Nobody had it before, not even to put it back.
    pub(super) fresh: bool,
}

/// An entry handed out and not settled.
#[derive(Debug)]
struct Pending {
    attempts: u32,
    /// 0 while nobody has it.
    lease: u64,
    /// When the lease ends, or when it is due.
    at: Instant,
}

/// The deliveries of one group.
#[derive(Debug)]
pub(super) struct Deliveries {
    delivered: u64,
    pending: BTreeMap<u64, Pending>,
    due: BTreeSet<(Instant, u64)>,
    leases: BTreeSet<(Instant, u64)>,
    next_lease: u64,
}

impl Deliveries {
    /// Nothing is pending; everything behind `delivered` is new.
    pub(super) const fn new(delivered: u64) -> Self {
        Self {
            delivered,
            pending: BTreeMap::new(),
            due: BTreeSet::new(),
            leases: BTreeSet::new(),
            next_lease: 1,
        }
    }

    /// What an earlier life of the file left: handed out `attempts` times, due again at `at`.
    pub(super) fn restore(&mut self, seq: u64, attempts: u32, at: Instant) {
        self.pending.insert(
            seq,
            Pending {
                attempts,
                lease: 0,
                at,
            },
        );
        self.due.insert((at, seq));
    }

    /// Up to `max` entries: due ones, then those whose lease ended, then new ones up to `head`.
    pub(super) fn claim(
        &mut self,
        max: usize,
        head: u64,
        now: Instant,
        lease_time: Duration,
    ) -> Vec<Claim> {
        let mut claims = Vec::new();
        let until = now + lease_time;
        while claims.len() < max {
            let Some(seq) = self.next_waiting(now) else {
                break;
            };
            claims.push(self.lease(seq, until));
        }
        while claims.len() < max && self.delivered < head {
            self.delivered += 1;
            let seq = self.delivered;
            self.pending.insert(
                seq,
                Pending {
                    attempts: 0,
                    lease: 0,
                    at: until,
                },
            );
            claims.push(Claim {
                fresh: true,
                ..self.lease(seq, until)
            });
        }
        claims
    }

    fn next_waiting(&mut self, now: Instant) -> Option<u64> {
        let ripe = |set: &BTreeSet<(Instant, u64)>| set.first().copied().filter(|f| f.0 <= now);
        if let Some(first) = ripe(&self.due) {
            self.due.remove(&first);
            return Some(first.1);
        }
        let first = ripe(&self.leases)?;
        self.leases.remove(&first);
        Some(first.1)
    }

    fn lease(&mut self, seq: u64, until: Instant) -> Claim {
        let lease = self.next_lease;
        self.next_lease += 1;
        let pending = self.pending.entry(seq).or_insert(Pending {
            attempts: 0,
            lease,
            at: until,
        });
        pending.attempts = pending.attempts.saturating_add(1);
        pending.lease = lease;
        pending.at = until;
        self.leases.insert((until, seq));
        Claim {
            seq,
            attempts: pending.attempts,
            lease,
            fresh: false,
        }
    }

    /// Whether there is something to claim right now.
    pub(super) fn ready(&self, head: u64, now: Instant) -> bool {
        self.delivered < head || self.next_deadline().is_some_and(|at| at <= now)
    }

    /// When the next entry falls due or the next lease ends.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let first = |set: &BTreeSet<(Instant, u64)>| set.first().map(|first| first.0);
        first(&self.due)
            .into_iter()
            .chain(first(&self.leases))
            .min()
    }

    /// Whether this delivery is the latest of its entry, and not settled.
    pub(super) fn owns(&self, seq: u64, lease: u64) -> bool {
        self.pending
            .get(&seq)
            .is_some_and(|pending| pending.lease == lease)
    }

    /// Keeps a delivery until then; `false` when it is not this consumer's any more.
    pub(super) fn extend(&mut self, seq: u64, lease: u64, until: Instant) -> bool {
        let Some(pending) = self.pending.get_mut(&seq).filter(|p| p.lease == lease) else {
            return false;
        };
        self.leases.remove(&(pending.at, seq));
        pending.at = until;
        self.leases.insert((until, seq));
        true
    }

    /// The entry is done with, whoever had it.
    pub(super) fn settle(&mut self, seq: u64) {
        if let Some(pending) = self.pending.remove(&seq) {
            self.leases.remove(&(pending.at, seq));
            self.due.remove(&(pending.at, seq));
        }
    }

    /// This delivery ended without a result: due again at `due`, as one tried `attempts` times.
    pub(super) fn postpone(&mut self, claim: Claim, due: Instant) {
        let owned = self
            .pending
            .get_mut(&claim.seq)
            .filter(|p| p.lease == claim.lease);
        let Some(pending) = owned else { return };
        self.leases.remove(&(pending.at, claim.seq));
        *pending = Pending {
            attempts: claim.attempts,
            lease: 0,
            at: due,
        };
        self.due.insert((due, claim.seq));
    }

    /// Whether this entry is handed out and not settled.
    pub(super) fn is_pending(&self, seq: u64) -> bool {
        self.pending.contains_key(&seq)
    }

    /// How many are handed out and not settled, delayed ones included.
    pub(super) fn pending(&self) -> u64 {
        self.pending.len() as u64
    }

    /// Everything up to here was handed out.
    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The oldest entry this group still needs.
    pub(super) fn floor(&self) -> u64 {
        self.pending
            .keys()
            .next()
            .map_or(self.delivered + 1, |oldest| *oldest)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};
    use proptest::prop_assert;
    use proptest::test_runner::TestCaseError;
    use tokio::time::Instant;

    use super::{Claim, Deliveries};

    const LEASE: Duration = Duration::from_secs(10);

    #[test]
    fn due_ones_come_before_expired_ones_before_new_ones() {
        let now = Instant::now();
        let mut deliveries = Deliveries::new(0);
        let first = deliveries.claim(2, 3, now, LEASE);
        deliveries.postpone(first[1], now + LEASE);
        let later = now + LEASE;
        let all = deliveries.claim(10, 3, later, LEASE);
        let order: Vec<(u64, u32)> = all
            .iter()
            .map(|claim| (claim.seq, claim.attempts))
            .collect();
        assert_eq!(order, [(2, 2), (1, 2), (3, 1)]);
    }

    #[test]
    fn an_extended_lease_ends_later_and_a_lost_one_cannot_be_extended() {
        let now = Instant::now();
        let mut deliveries = Deliveries::new(0);
        let claim = deliveries.claim(1, 1, now, LEASE)[0];
        assert!(deliveries.extend(claim.seq, claim.lease, now + 2 * LEASE));
        assert!(deliveries.claim(1, 1, now + LEASE, LEASE).is_empty());
        assert_eq!(deliveries.claim(1, 1, now + 2 * LEASE, LEASE).len(), 1);
        assert!(!deliveries.extend(claim.seq, claim.lease, now + 3 * LEASE));
    }

    #[test]
    fn the_floor_is_the_oldest_entry_that_is_needed() {
        let now = Instant::now();
        let mut deliveries = Deliveries::new(5);
        assert_eq!(deliveries.floor(), 6);
        let claims = deliveries.claim(3, 9, now, LEASE);
        deliveries.settle(claims[1].seq);
        assert_eq!((deliveries.floor(), deliveries.pending()), (6, 2));
        deliveries.settle(claims[0].seq);
        assert_eq!(deliveries.floor(), 8);
        deliveries.settle(claims[2].seq);
        assert_eq!((deliveries.floor(), deliveries.pending()), (9, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Store(u64),
        Claim(usize),
        /// What becomes of the oldest claim: settled, postponed by so many seconds, or extended.
        Settle,
        Postpone(u64),
        Extend,
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1..5u64).prop_map(Step::Store),
            (1..5usize).prop_map(Step::Claim),
            any::<bool>().prop_map(|_| Step::Settle),
            (0..20u64).prop_map(Step::Postpone),
            any::<bool>().prop_map(|_| Step::Extend),
            (0..8u64).prop_map(Step::Pass),
        ];
        vec(step, 0..120)
    }

    /// What must hold of one history.
    struct Model {
        deliveries: Deliveries,
        now: Instant,
        head: u64,
        /// The latest claim of each entry, and when its lease ends.
        held: BTreeMap<u64, (Claim, Instant)>,
        settled: Vec<u64>,
    }

    impl Model {
        fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
            let oldest = self.held.values().next().copied();
            match (step, oldest) {
                (Step::Store(count), _) => self.head += count,
                (Step::Claim(max), _) => self.claim(*max)?,
                (Step::Pass(seconds), _) => self.now += Duration::from_secs(*seconds),
                (Step::Settle, Some((claim, _))) => {
                    self.deliveries.settle(claim.seq);
                    self.held.remove(&claim.seq);
                    self.settled.push(claim.seq);
                }
                (Step::Postpone(seconds), Some((claim, _))) => {
                    self.deliveries
                        .postpone(claim, self.now + Duration::from_secs(*seconds));
                    self.held.remove(&claim.seq);
                }
                (Step::Extend, Some((claim, _))) => {
                    let until = self.now + LEASE;
                    prop_assert!(self.deliveries.extend(claim.seq, claim.lease, until));
                    self.held.insert(claim.seq, (claim, until));
                }
                (Step::Settle | Step::Postpone(_) | Step::Extend, None) => {}
            }
            Ok(())
        }

        fn claim(&mut self, max: usize) -> Result<(), TestCaseError> {
            for claim in self.deliveries.claim(max, self.head, self.now, LEASE) {
                prop_assert!(claim.seq <= self.head && !self.settled.contains(&claim.seq));
                let before = self.held.insert(claim.seq, (claim, self.now + LEASE));
                // Nobody is robbed before the lease has ended, and each claim counts.
                prop_assert!(before.is_none_or(|(_, until)| until <= self.now));
                prop_assert!(before.is_none_or(|(old, _)| old.attempts + 1 == claim.attempts));
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nobody_is_robbed(steps in steps()) {
            let mut model = Model {
                deliveries: Deliveries::new(0),
                now: Instant::now(),
                head: 0,
                held: BTreeMap::new(),
                settled: Vec::new(),
            };
            for step in &steps {
                model.step(step)?;
            }
            // In the end everything stored was settled, or can still be claimed.
            model.now += Duration::from_secs(3600);
            let rest = model.deliveries.claim(usize::MAX, model.head, model.now, LEASE);
            let mut seen: Vec<u64> = rest.iter().map(|claim| claim.seq).collect();
            seen.extend(&model.settled);
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(1..=model.head));
        }
    }
}
