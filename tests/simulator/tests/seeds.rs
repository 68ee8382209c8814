//! A hundred thousand histories with everything that can go wrong.

use std::thread::available_parallelism;

use nexus_simulator::Case;
use nexus_simulator::campaign::{Campaign, Report};
use nexus_simulator::shrink::shrink;

/// The first seed, always the same: what CI says is what anybody gets.
const FIRST: u64 = 0;

/// How many.
const SEEDS: u64 = 100_000;

#[test]
fn every_invariant_holds() {
    let threads = available_parallelism().map_or(2, usize::from);
    let campaign = Campaign {
        first: FIRST,
        seeds: SEEDS,
        threads,
        mutant: None,
        wanted: &[],
    };
    let report = campaign.run();
    println!("again: cargo run -p nexus-simulator -- --first {FIRST} --seeds {SEEDS}");
    if let Some(failure) = &report.failure {
        let case = Case::of(failure.seed, None);
        let shortest = shrink(&case, failure.violation.invariant).unwrap();
        panic!(
            "{shortest}\nagain: cargo run -p nexus-simulator -- --seed {}",
            failure.seed
        );
    }
    assert_eq!(report.seeds, SEEDS);
    println!("{:?}", report.counts);
    much_happened(&report);
}

/// Where nothing goes wrong, nothing is proved.
fn much_happened(report: &Report) {
    let counts = &report.counts;
    assert!(counts.requests > 3 * SEEDS && counts.commits > 10 * SEEDS);
    assert!(
        counts.conflicts > SEEDS / 100,
        "replicas compete, and one is refused"
    );
    for (fault, count) in report.faults() {
        assert!(count > SEEDS / 100, "{fault:?} happened only {count} times");
    }
    for (event_type, count) in counts.reached.each() {
        assert!(
            count > SEEDS / 100,
            "{event_type} happened only {count} times"
        );
    }
}
