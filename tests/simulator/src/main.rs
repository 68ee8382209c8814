//! Looks for a seed under which the loop loses something, and shows the shortest such history.

use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser;
use nexus_simulator::campaign::{Campaign, Report};
use nexus_simulator::shrink::shrink;
use nexus_simulator::{Case, Invariant, Mutant, Tracing, simulate};

/// Simulates the whole loop with everything that can go wrong, seed after seed.
#[derive(Debug, Parser)]
#[command(name = "nexus-simulator", version)]
struct Arguments {
    /// Replay this seed and show what happens, shortened if it fails.
    #[arg(long)]
    seed: Option<u64>,
    /// Show the whole history of `--seed`, not the shortest one.
    #[arg(long, requires = "seed")]
    whole: bool,
    /// How many seeds to try.
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// On how many threads; as many as there are processors when left out.
    #[arg(long)]
    threads: Option<usize>,
    /// Break the loop on purpose.
    #[arg(long)]
    mutant: Option<Mutant>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_well = match arguments.seed {
        Some(seed) => replay(seed, &arguments),
        None => search(&arguments),
    };
    if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::print_stdout, reason = "this is a program for a terminal")]
fn replay(seed: u64, arguments: &Arguments) -> bool {
    let case = Case::of(seed, arguments.mutant);
    let outcome = simulate(&case, Tracing::On);
    let violation = outcome.violations.first();
    if let Some(violation) = violation.filter(|_| !arguments.whole) {
        show_shortest(&case, violation.invariant);
        return false;
    }
    for line in &outcome.trace {
        println!("{line}");
    }
    match violation {
        Some(violation) => println!("\nseed {seed}: {violation}"),
        None => println!("\nseed {seed}: every invariant holds"),
    }
    violation.is_none()
}

#[expect(clippy::print_stdout, reason = "this is a program for a terminal")]
fn show_shortest(case: &Case, invariant: Invariant) {
    match shrink(case, invariant) {
        Some(shortest) => println!("{shortest}"),
        None => println!("seed {} fails no more", case.seed),
    }
}

#[expect(clippy::print_stdout, reason = "this is a program for a terminal")]
fn search(arguments: &Arguments) -> bool {
    let threads = arguments
        .threads
        .or_else(|| Some(available_parallelism().ok()?.get()));
    let campaign = Campaign {
        first: arguments.first,
        seeds: arguments.seeds,
        threads: threads.unwrap_or(1),
        mutant: arguments.mutant,
        wanted: &[],
    };
    let report = campaign.run();
    show(&report);
    let Some(failure) = report.failure else {
        println!("every invariant holds");
        return true;
    };
    println!("\nseed {}: {}\n", failure.seed, failure.violation);
    show_shortest(
        &Case::of(failure.seed, arguments.mutant),
        failure.violation.invariant,
    );
    println!(
        "again: cargo run -p nexus-simulator -- --seed {}",
        failure.seed
    );
    false
}

#[expect(clippy::print_stdout, reason = "this is a program for a terminal")]
fn show(report: &Report) {
    let counts = &report.counts;
    println!(
        "{} seeds: {} requests, {} commits, {} stale writes refused, {} extra model calls",
        report.seeds, counts.requests, counts.commits, counts.conflicts, counts.extra_model_calls
    );
    for (event_type, count) in counts.reached.each() {
        println!("  {event_type}: {count}");
    }
    for (fault, count) in report.faults().filter(|(_, count)| *count > 0) {
        println!("  {fault:?}: {count}");
    }
}
