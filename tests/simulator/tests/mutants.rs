//! The test of the test: what breaks the loop on purpose is found, and by name.

use clap::ValueEnum;
use nexus_simulator::campaign::{Campaign, Failure};
use nexus_simulator::{Case, Invariant, Mutant, Tracing, shrink};

/// Histories within which each must be found: a fifth of what CI tries.
const SEEDS: u64 = 20_000;

fn search(mutant: Mutant, wanted: &'static [Invariant]) -> Option<Failure> {
    let campaign = Campaign {
        first: 0,
        seeds: SEEDS,
        threads: 2,
        mutant: Some(mutant),
        wanted,
    };
    campaign.run().failure
}

#[test]
fn every_mutant_is_caught_by_its_invariant() {
    for mutant in Mutant::value_variants() {
        let failure = search(*mutant, &[]).unwrap();
        let found = failure.violation.invariant;
        println!("{mutant:?}: seed {}: {}", failure.seed, failure.violation);
        assert!(mutant.breaks().contains(&found), "{mutant:?} by {found}");
    }
}

/// The mutant that makes an invariant fail, for each.
const BROKEN_BY: [(Mutant, &[Invariant]); Invariant::ALL.len()] = [
    (Mutant::AckBeforeCommit, &[Invariant::OneOutcome]),
    (Mutant::NoLedger, &[Invariant::OneDelivery]),
    (Mutant::NoTransaction, &[Invariant::DenseJournal]),
    (Mutant::NoTransaction, &[Invariant::FoldIsCheckpoint]),
    (Mutant::NoLedger, &[Invariant::EffectsOnce]),
    (Mutant::NoToolResults, &[Invariant::WholeHistory]),
    (Mutant::NoSweeper, &[Invariant::Drained]),
    (Mutant::NoCompareAndSet, &[Invariant::NoStaleWrite]),
    (Mutant::RepeatsAll, &[Invariant::BoundedWork]),
    (Mutant::NoTenants, &[Invariant::Isolated]),
    (Mutant::NoErasure, &[Invariant::Erased]),
];

#[test]
fn every_invariant_can_fail() {
    let all: Vec<Invariant> = BROKEN_BY
        .iter()
        .flat_map(|(_, broken)| *broken)
        .copied()
        .collect();
    assert_eq!(all, Invariant::ALL);
    for (mutant, broken) in BROKEN_BY {
        let failure = search(mutant, broken);
        assert!(failure.is_some(), "{mutant:?} never broke {broken:?}");
    }
}

#[test]
fn a_failing_history_shrinks_and_still_fails() {
    let failure = search(Mutant::NoLedger, &[Invariant::EffectsOnce]).unwrap();
    let case = Case::of(failure.seed, Some(Mutant::NoLedger));
    let shortest = shrink::shrink(&case, Invariant::EffectsOnce).unwrap();
    assert_eq!(shortest.violation.invariant, Invariant::EffectsOnce);
    let before = nexus_simulator::simulate(&case, Tracing::Off).faults.len();
    assert!(shortest.faults.len() <= before && !shortest.trace.is_empty());
    let text = shortest.to_string();
    assert!(text.contains(&format!("seed {}", failure.seed)), "{text}");
}
