//! A writer that is late, for certain.
//!
//! Chance alone does not always freeze a worker just when others take over its work. A run in which
//! replicas compete begins with one that does: a router is frozen with calls of the model in its hands,
//! its replica makes them again, and then the first goes on and must not be able to write.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use nexus_testkit::wait_until;

use crate::model::Step;
use crate::run::Stage;

/// Longest wait for each step.
const LIMIT: Duration = Duration::from_secs(30);

/// The service whose replicas compete.
const SERVICE: &str = "provider-router";

/// Lets one router be late, and all of them run in the end. Somebody has to be asking.
///
/// Whether it was refused is for the checks to judge.
///
/// # Errors
/// When no call reaches the model, nobody makes it again, or a process cannot be stopped or started.
pub async fn takeover(stage: &Stage) -> Result<()> {
    let routers = stage.deployment.workers.iter();
    let mut routers = routers.filter(|worker| worker.service == SERVICE);
    let late = routers.next().context("no router")?;
    let others: Vec<_> = routers.collect();
    // One router alone, so that it is the one that has the call.
    for other in &others {
        other.kill().await?;
    }
    let from = stage.log.now();
    let before = stage.model.calls().len();
    stage.model.hold(Step::First);
    let called = wait_until(LIMIT, "a call of the model", async || {
        Ok(stage.model.held() > 0)
    });
    called.await?;
    late.pause().await?;
    let frozen = stage.model.calls().len();
    stage.model.release();
    for other in &others {
        other.start().await?;
    }
    let again = wait_until(LIMIT, "a replica to call the model again", async || {
        let calls = stage.model.calls();
        let mut calls = calls.iter().map(|call| call.digest.as_str()).skip(before);
        let held: BTreeSet<_> = calls.by_ref().take(frozen - before).collect();
        Ok(calls.any(|digest| held.contains(digest)))
    });
    again.await?;
    late.resume().await?;
    stage.log.fault("takeover", &late.name, from);
    // Counted before the next fault may end the process that counts.
    let counted = wait_until(LIMIT, "a refusal", async || {
        Ok(stage.refused().values().sum::<u64>() > 0)
    });
    let _for_the_checks = counted.await;
    Ok(())
}
