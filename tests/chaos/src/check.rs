//! The invariants: each a function over a history, with a test that shows it a bad one.

mod answers;
mod effects;
mod leftovers;
mod model;
mod outcomes;
mod sequence;
pub mod stale;
mod tenants;
#[cfg(test)]
mod world;

use serde::Serialize;

use crate::history::History;

pub use answers::answers_follow_history;
pub use effects::effects_once;
pub use leftovers::drained;
pub use model::{extra_calls, extra_calls_bounded, tools_answered};
pub use outcomes::{deadlines_kept, one_delivery, one_outcome};
pub use sequence::{dense_journal, fold_is_checkpoint};
pub use stale::stale_writes_refused;
pub use tenants::tenants_apart;

/// A way in which a history breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The invariant.
    pub invariant: &'static str,
    /// The requests or conversations it is about.
    pub about: Vec<String>,
    /// What was found.
    pub found: String,
}

/// What must hold at the end of every run.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    /// As `notes` and reports number it.
    pub number: u8,
    /// Its name, for programs.
    pub name: &'static str,
    /// What it says, for people.
    pub says: &'static str,
    check: fn(&History) -> Vec<Found>,
}

/// What a check found: about what, and what.
pub type Found = (Vec<String>, String);

const fn invariant(
    number: u8,
    name: &'static str,
    says: &'static str,
    check: fn(&History) -> Vec<Found>,
) -> Invariant {
    Invariant {
        number,
        name,
        says,
        check,
    }
}

/// All of them.
pub const INVARIANTS: &[Invariant] = &[
    invariant(
        1,
        "one-outcome",
        "every accepted request has exactly one outcome, soon after healing",
        one_outcome,
    ),
    invariant(
        2,
        "one-delivery",
        "a reply says the same however often it is seen, and answers one request",
        one_delivery,
    ),
    invariant(
        3,
        "dense-journal",
        "each conversation's journal counts 1, 2, 3 … without gap or repetition",
        dense_journal,
    ),
    invariant(
        4,
        "fold-is-checkpoint",
        "the journal, folded by the core, is the stored state",
        fold_is_checkpoint,
    ),
    invariant(
        5,
        "effects-once",
        "every effect has one result, taken once; what may not be repeated was not",
        effects_once,
    ),
    invariant(
        6,
        "tools-answered",
        "every tool call has exactly one result before the next model call",
        tools_answered,
    ),
    invariant(
        7,
        "drained",
        "nothing is left over, and every accepted request is accounted for",
        drained,
    ),
    invariant(
        8,
        "stale-writes-refused",
        "no write from an outdated state stays, and where replicas compete some were refused",
        stale_writes_refused,
    ),
    invariant(
        9,
        "extra-calls-bounded",
        "a fault costs at most as many extra model calls as were in flight",
        extra_calls_bounded,
    ),
    invariant(
        10,
        "tenants-apart",
        "nobody gets to see, or to go on with, what belongs to others",
        tenants_apart,
    ),
    invariant(
        11,
        "answers-follow-history",
        "the model saw every conversation whole, and its own words came back",
        answers_follow_history,
    ),
    invariant(
        12,
        "deadlines-kept",
        "a run that nothing answers is ended by its deadline, whatever restarts meanwhile",
        deadlines_kept,
    ),
];

/// Checks them all.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    for invariant in INVARIANTS {
        let found = (invariant.check)(history).into_iter();
        violations.extend(found.map(|(about, found)| Violation {
            invariant: invariant.name,
            about,
            found,
        }));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_history_passes_every_check() {
        assert_eq!(check(&world::good()), []);
    }

    #[test]
    fn numbers_and_names_are_in_order_and_unique() {
        let numbers: Vec<u8> = INVARIANTS.iter().map(|known| known.number).collect();
        assert_eq!(numbers, (1..=12).collect::<Vec<u8>>());
        let names: std::collections::BTreeSet<_> =
            INVARIANTS.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), INVARIANTS.len());
    }
}
