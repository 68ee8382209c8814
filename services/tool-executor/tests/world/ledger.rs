//! Commands that come twice, and workers that die.

use std::sync::atomic::Ordering;

use anyhow::Result;
use nexus_testkit::wait_until;

use crate::fixtures::{PATIENCE, World, completed, failed, kill, on_every_database};

/// A short lease, so that what a dead worker left is taken over soon.
const SHORT: &[(&str, &str)] = &[("lease", "1s")];

on_every_database! {
    async fn a_command_that_comes_twice_runs_once(world: World) -> Result<()> {
        let worker = world.worker(&[]).await?;
        let command = world.command("1", "gated", "{}")?;
        // While the first runs, and after it has ended.
        world.send(&command).await?;
        world.send(&command).await?;
        world.effects(1).await?;
        world.stage.gate.add_permits(10);
        let first = world.results(2).await?;
        world.send(&command).await?;
        let all = world.results(3).await?;
        assert_eq!(world.stage.effects(), 1);
        for result in &all {
            assert_eq!(result.id, first[0].id);
            assert_eq!(completed(result)?, completed(&first[0])?);
        }
        kill(worker).await;
        Ok(())
    }

    async fn the_same_id_of_another_organisation_is_another_command(world: World) -> Result<()> {
        let worker = world.worker(&[]).await?;
        world.stage.gate.add_permits(10);
        let command = world.command("1", "gated", "{}")?;
        let mut other = command.clone();
        other.metadata.org_id = Some(World::new().await?.org);
        world.send(&command).await?;
        world.send(&other).await?;
        world.results(2).await?;
        assert_eq!(world.stage.effects(), 2);
        kill(worker).await;
        Ok(())
    }

    async fn a_call_longer_than_its_lease_is_not_taken_over(world: World) -> Result<()> {
        let (first, second) = (world.worker(SHORT).await?, world.worker(SHORT).await?);
        let command = world.command("1", "gated", "{}")?;
        world.send(&command).await?;
        world.effects(1).await?;
        // Another delivery keeps asking for the claim. Its waiting is what is watched here: three
        // leases pass, counted by commands that end on their own time.
        world.send(&command).await?;
        for lease in 0..3 {
            let mut clock = world.command(&format!("lease-{lease}"), "once", "{}")?;
            clock.metadata.deadline = Some(nexus_service_kit::Clock::system().now().plus_millis(1000));
            assert_eq!(failed(&world.ask(&clock).await?)?.code, "deadline_exceeded");
        }
        // Three of the timekeepers and one of the call.
        assert_eq!(world.stage.effects(), 4);
        world.stage.gate.add_permits(1);
        let results = world.results(5).await?;
        let ours: Vec<_> = results
            .iter()
            .filter(|r| r.id == command.id.result("tool"))
            .collect();
        assert_eq!(ours.len(), 2);
        assert_eq!(completed(ours[0])?, completed(ours[1])?);
        kill(first).await;
        kill(second).await;
        Ok(())
    }

    async fn what_is_safe_to_repeat_is_repeated_after_a_death(world: World) -> Result<()> {
        let first = world.worker(SHORT).await?;
        let command = world.command("1", "gated", "{}")?;
        world.send(&command).await?;
        world.effects(1).await?;
        kill(first).await;
        wait_until(PATIENCE, "the call to be dropped", async || {
            Ok(world.stage.dropped.load(Ordering::SeqCst) == 1)
        })
        .await?;
        world.stage.gate.add_permits(1);
        let second = world.worker(SHORT).await?;
        completed(&world.results(1).await?[0])?;
        assert_eq!(world.stage.effects(), 2);
        kill(second).await;
        Ok(())
    }

    async fn what_must_not_be_repeated_is_reported_as_unknown(world: World) -> Result<()> {
        let first = world.worker(SHORT).await?;
        let command = world.command("1", "once", "{}")?;
        world.send(&command).await?;
        world.effects(1).await?;
        kill(first).await;
        world.stage.gate.add_permits(1);
        let second = world.worker(SHORT).await?;
        let event = failed(&world.results(1).await?[0])?;
        assert_eq!(event.code, "unknown_outcome", "{event:?}");
        assert_eq!(world.stage.effects(), 1);
        kill(second).await;
        Ok(())
    }

    async fn what_ran_is_told_however_unwanted_or_late_the_repetition_is(
        world: World
    ) -> Result<()> {
        let worker = world.worker(&[]).await?;
        world.stage.gate.add_permits(10);
        let mut command = world.command("1", "once", "{}")?;
        let first = world.ask(&command).await?;
        completed(&first)?;
        world.cancel(&command).await?;
        command.metadata.deadline = Some(nexus_service_kit::Clock::system().now());
        world.send(&command).await?;
        let results = world.results(2).await?;
        assert_eq!(results[1].payload, first.payload, "the same result again");
        assert_eq!(world.stage.effects(), 1);
        kill(worker).await;
        Ok(())
    }

    async fn what_was_refused_stays_refused(world: World) -> Result<()> {
        let worker = world.worker(&[("disabled", "[current_time]")]).await?;
        let command = world.command("1", "current_time", "{}")?;
        assert_eq!(failed(&world.ask(&command).await?)?.code, "unknown_tool");
        kill(worker).await;
        let worker = world.worker(&[]).await?;
        world.send(&command).await?;
        let results = world.results(2).await?;
        assert_eq!(failed(&results[1])?.code, "unknown_tool");
        kill(worker).await;
        Ok(())
    }

    async fn a_call_left_by_a_dead_worker_is_not_run_for_a_cancelled_run(
        world: World
    ) -> Result<()> {
        let first = world.worker(SHORT).await?;
        let command = world.command("1", "gated", "{}")?;
        world.send(&command).await?;
        world.effects(1).await?;
        kill(first).await;
        world.cancel(&command).await?;
        world.stage.gate.add_permits(1);
        let second = world.worker(SHORT).await?;
        assert_eq!(failed(&world.results(1).await?[0])?.code, "cancelled");
        assert_eq!(world.stage.effects(), 1);
        kill(second).await;
        Ok(())
    }
}
