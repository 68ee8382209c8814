//! A seed says everything.

use nexus_simulator::{Case, Tracing, simulate};

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in [3, 40, 195, 1_000_003] {
        let [one, other] = [(); 2].map(|()| simulate(&Case::of(seed, None), Tracing::On));
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_eq!(one.counts, other.counts, "seed {seed}");
        assert!(one.trace.len() > 5, "seed {seed}: something happens");
    }
}

#[test]
fn another_seed_is_another_history() {
    let [one, other] = [1, 2].map(|seed| simulate(&Case::of(seed, None), Tracing::On).trace);
    assert_ne!(one, other);
}

#[test]
fn to_be_traced_changes_nothing() {
    let each = [Tracing::On, Tracing::Off];
    let [one, other] = each.map(|tracing| simulate(&Case::of(7, None), tracing).counts);
    assert_eq!(one, other);
}
