//! Runs that nobody wants any more.

use std::time::Duration;

use anyhow::Result;
use nexus_contracts::RunId;
use nexus_contracts::live::Cancelled;
use nexus_contracts::tables;
use nexus_service_kit::put_table;
use nexus_testkit::openai::Script;
use nexus_testkit::wait_until;

use crate::world::{PATIENCE, World, asking, question, world};

pub(crate) async fn cancel(world: &World, run: RunId) -> Result<()> {
    let now = world.deps.clock.now();
    let cancelled = Cancelled {
        at: now,
        until: now.plus_millis(60_000),
    };
    let (bus, run) = (&world.deps.bus, run.to_string());
    put_table(bus, tables::RUNS_CANCELLED, &run, &cancelled).await?;
    Ok(())
}

#[tokio::test]
async fn a_cancelled_run_ends_its_call_and_the_connection() -> Result<()> {
    let world = world(&[]).await?;
    world.fake.push(Script::text("never heard").hang_after(1));
    let (command, run) = question("c1", "Hi")?;
    world.publish(&command).await?;
    world.heard(run, "never ").await?;
    assert_eq!(world.fake.hung_up(), 0);
    cancel(&world, run).await?;
    let (_, answer) = world.answer(1).await?;
    assert_eq!(answer.failed()?.code, "cancelled");
    wait_until(PATIENCE, "the connection to be closed", async || {
        Ok(world.fake.hung_up() == 1)
    })
    .await?;
    // Cancelled before it begins: nobody is asked.
    let (late, _) = asking("c2", "Hi", Some("it"), |metadata| {
        metadata.run_id = Some(run);
    })?;
    world.publish(&late).await?;
    let (_, answer) = world.answer(2).await?;
    assert_eq!(answer.failed()?.code, "cancelled");
    assert_eq!(world.fake.received().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_call_that_has_not_said_a_word_is_ended_too() -> Result<()> {
    let world = world(&[]).await?;
    world.fake.push(Script::hang());
    let (command, run) = question("c1", "Hi")?;
    world.publish(&command).await?;
    world.fake.wait_received(PATIENCE, 1).await?;
    cancel(&world, run).await?;
    let (_, answer) = world.answer(1).await?;
    assert_eq!(answer.failed()?.code, "cancelled");
    wait_until(PATIENCE, "the connection to be closed", async || {
        Ok(world.fake.hung_up() == 1)
    })
    .await
}

#[tokio::test]
async fn a_claim_left_by_a_dead_worker_is_not_carried_out_for_a_cancelled_run() -> Result<()> {
    let world = world(&[("lease", "1s")]).await?;
    world.fake.push(Script::hang());
    let (command, run) = question("c1", "Hi")?;
    world.publish(&command).await?;
    world.fake.wait_received(PATIENCE, 1).await?;
    world.deps.stop(Duration::ZERO).await;
    cancel(&world, run).await?;
    let successor = world.worker().await?;
    let (_, answer) = world.answer(1).await?;
    assert_eq!(answer.failed()?.code, "cancelled");
    assert_eq!(world.fake.received().len(), 1);
    successor.stop(Duration::ZERO).await;
    Ok(())
}

#[tokio::test]
async fn what_was_answered_before_the_cancellation_is_repeated_as_it_was() -> Result<()> {
    let world = world(&[]).await?;
    world.fake.push(Script::text("in time"));
    let (command, run) = question("c1", "Hi")?;
    world.ask(&command).await?.completed()?;
    cancel(&world, run).await?;
    world.publish(&command).await?;
    let results = world.results(2).await?;
    let records: Vec<_> = results.iter().map(|entry| &entry.record).collect();
    assert_eq!(records.first(), records.get(1));
    Ok(())
}
