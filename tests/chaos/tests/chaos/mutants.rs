//! A build that is broken on purpose must be caught, by the invariant that is about it: without
//! this, storms that end well would prove nothing.

use anyhow::{Result, ensure};

use crate::program::chaos;

async fn caught(mutant: &str, words: &str, invariant: &str) -> Result<()> {
    let ran = chaos(&format!("--mutant {mutant} {words}")).await?;
    ensure!(
        ran.code == Some(1),
        "exit code {:?}\n{}",
        ran.code,
        ran.said
    );
    let violated = ran.said.lines().find(|line| line.starts_with("VIOLATED"));
    ensure!(
        violated.is_some_and(|line| line.contains(invariant)),
        "{invariant} did not notice\n{}",
        ran.said
    );
    Ok(())
}

#[tokio::test]
async fn ack_before_commit_loses_requests() -> Result<()> {
    caught("ack-before-commit", "--bus redis", "one-outcome").await
}

#[tokio::test]
async fn without_an_inbox_a_repetition_is_another_message() -> Result<()> {
    caught("no-inbox", "--bus redis", "one-outcome").await
}

#[tokio::test]
async fn without_compare_and_set_replicas_write_over_each_other() -> Result<()> {
    let words = "--bus redis --db postgres";
    caught("no-compare-and-set", words, "stale-writes-refused").await
}

#[tokio::test]
async fn without_a_sweeper_what_the_bus_lost_stays_lost() -> Result<()> {
    caught("no-sweeper", "--bus redis", "one-outcome").await
}

#[tokio::test]
async fn timers_that_begin_anew_let_deadlines_pass() -> Result<()> {
    caught("timers-reset", "--bus redis", "deadlines-kept").await
}
