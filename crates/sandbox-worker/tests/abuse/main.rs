//! The abuse suite: thirty-eight ways to misuse a sandbox, each on each backend. A row says how the case must
//! end, or why it cannot exist. `sabotage` shows that the suite fails when a guard is missing.
//!
//! Each test counts the processes below its own, so each needs a process to itself: `cargo nextest`, or
//! `cargo test -- --test-threads 1`.

#![expect(unreachable_pub, reason = "modules of a test")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests, and rows that cannot exist are named"
)]
#![expect(
    clippy::too_many_lines,
    clippy::fn_params_excessive_bools,
    reason = "tables of cases; two backends, one of them CPython"
)]

mod case;
mod compute;
mod kernel;
mod reach;
mod sabotage;
mod trust;
mod world;

use case::{Case, survive};
use world::{World, adopt_orphans};

/// All rows, by number.
fn table() -> Vec<Case> {
    let mut all: Vec<_> = [
        compute::processes(),
        compute::time_and_memory(),
        compute::output(),
        reach::files(),
        reach::outside_world(),
        kernel::cases(),
        trust::cases(),
    ]
    .into_iter()
    .flatten()
    .collect();
    all.sort_by_key(|case| case.number);
    all
}

#[test]
fn every_number_has_a_row() {
    let mut numbers: Vec<_> = table().iter().map(|case| case.number).collect();
    numbers.dedup();
    assert_eq!(numbers, (1..=38).collect::<Vec<_>>());
}

async fn suite(python: bool) {
    adopt_orphans();
    let world = World::proven(python).await;
    let mut failures = Vec::new();
    for case in table() {
        if let Err(why) = survive(&world, &case).await {
            failures.push(format!("{} {}: {why}", case.number, case.name));
        }
    }
    failures.extend(world.gone().await.err());
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[tokio::test]
async fn monty_survives_every_case() {
    suite(false).await;
}

#[tokio::test]
async fn python_full_survives_every_case() {
    suite(true).await;
}

#[tokio::test]
async fn no_nesting_of_source_hurts_anybody() {
    adopt_orphans();
    for python in [false, true] {
        let world = World::proven(python).await;
        for code in compute::nestings() {
            let job = nexus_sandbox::Job::new(code.as_str()).limits(world::LIMITS);
            let done = world.sandbox.run(job).await.unwrap();
            assert!(
                compute::nesting_is_contained(&done),
                "{:.40} ended as {:?}",
                code,
                done.result
            );
        }
        world.sibling().await.unwrap();
        world.gone().await.unwrap();
    }
}
