#![doc = include_str!("../README.md")]

mod acts;
mod adapter;
mod asked;
mod audit;
mod bus;
pub mod campaign;
mod case;
mod chance;
mod checks;
mod commit;
mod delivery;
mod faults;
mod flow;
mod hearing;
mod history;
mod invariant;
mod keeper;
mod ledger;
mod letter;
mod model;
mod mutant;
mod orchestrator;
mod outside;
mod people;
mod reached;
mod recorder;
mod scenario;
pub mod shrink;
mod surroundings;
mod sweeper;
mod tables;
mod worker;
mod world;

pub use case::Case;
pub use faults::{Fault, Happened};
pub use invariant::{Invariant, Violation};
pub use mutant::Mutant;
pub use reached::Reached;
pub use world::{Counts, Tracing};

/// How a history went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What did not hold; nothing when all is well.
    pub violations: Vec<Violation>,
    /// What went wrong on the way.
    pub faults: Vec<Happened>,
    /// What was counted.
    pub counts: Counts,
    /// What happened, line by line, if that was asked for.
    pub trace: Vec<String>,
}

/// Lets a history happen.
#[must_use]
pub fn simulate(case: &Case, tracing: Tracing) -> Outcome {
    let mut world = world::World::new(case, tracing);
    world.run();
    Outcome {
        violations: world.violations,
        faults: world.faults,
        counts: world.counts,
        trace: world.trace.unwrap_or_default(),
    }
}
