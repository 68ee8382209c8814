//! Many seeds, on several threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::world::Counts;
use crate::{Case, Fault, Invariant, Mutant, Tracing, Violation, simulate};

/// Seeds taken by a thread at once.
const SLICE: u64 = 64;

/// Which seeds are tried.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// On how many threads.
    pub threads: usize,
    /// How the loop is broken on purpose.
    pub mutant: Option<Mutant>,
    /// Only these invariants end it; all do when there are none.
    pub wanted: &'static [Invariant],
}

/// A seed under which something did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What did not hold.
    pub violation: Violation,
}

/// How it went.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Seeds tried.
    pub seeds: u64,
    /// What was counted in all of them.
    pub counts: Counts,
    /// The failure of the smallest seed found.
    pub failure: Option<Failure>,
}

impl Report {
    fn take(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.counts.add(&other.counts);
        let smallest = [self.failure.take(), other.failure].into_iter().flatten();
        self.failure = smallest.min_by_key(|failure| failure.seed);
    }

    /// What went wrong how often.
    pub fn faults(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.counts.faults)
    }
}

impl Campaign {
    /// Tries the seeds, until one fails.
    #[must_use]
    pub fn run(&self) -> Report {
        let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let mut report = Report::default();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads.max(1))
                .map(|_| scope.spawn(|| self.work(&next, &over)))
                .collect();
            for worker in workers {
                if let Ok(part) = worker.join() {
                    report.take(part);
                }
            }
        });
        report
    }

    fn work(&self, next: &AtomicU64, over: &AtomicBool) -> Report {
        let mut report = Report::default();
        while !over.load(Ordering::Relaxed) {
            let start = next.fetch_add(SLICE, Ordering::Relaxed);
            if start >= self.seeds {
                break;
            }
            for at in start..(start + SLICE).min(self.seeds) {
                if let Some(failure) = self.seed(self.first.wrapping_add(at), &mut report) {
                    report.failure = Some(failure);
                    over.store(true, Ordering::Relaxed);
                    return report;
                }
            }
        }
        report
    }

    fn seed(&self, seed: u64, report: &mut Report) -> Option<Failure> {
        let outcome = simulate(&Case::of(seed, self.mutant), Tracing::Off);
        report.seeds += 1;
        report.counts.add(&outcome.counts);
        let wanted = |violation: &Violation| {
            self.wanted.is_empty() || self.wanted.contains(&violation.invariant)
        };
        let violation = outcome.violations.into_iter().find(wanted)?;
        Some(Failure { seed, violation })
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.commits += other.commits;
        self.conflicts += other.conflicts;
        self.messages += other.messages;
        self.extra_model_calls += other.extra_model_calls;
        self.reached.add_all(&other.reached);
        for (sum, one) in self.faults.iter_mut().zip(other.faults) {
            *sum += one;
        }
    }
}
