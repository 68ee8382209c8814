//! Commands that come twice, and conversations that are gone: on every database.

use anyhow::Result;
use nexus_contracts::channels;
use nexus_provider_router::NAME;
use nexus_service_kit::outgoing;
use nexus_testkit::openai::Script;
use nexus_testkit::wait_until;

use crate::keeper::{deleted, receipts};
use crate::world::{Database, PATIENCE, World, on_every_database, question, world_on};

on_every_database! {
    async fn a_repeated_command_is_paid_for_once_and_answered_alike(database: Database) -> Result<()> {
        let world = world_on(database, &[]).await?;
        world.fake.push(Script::text("paid for"));
        let (command, _) = question("c1", "Hi")?;
        world.ask(&command).await?.completed()?;
        world.publish(&command).await?;
        let results = world.results(2).await?;
        let records: Vec<_> = results.iter().map(|entry| &entry.record).collect();
        assert_eq!(records.first(), records.get(1));
        assert_eq!(world.fake.received().len(), 1);
        Ok(())
    }

    async fn a_command_repeated_while_it_runs_waits_for_its_result(database: Database) -> Result<()> {
        let world = world_on(database, &[("lease", "600ms")]).await?;
        let (script, gate) = Script::text("once").gated();
        world.fake.push(script);
        let (command, _) = question("c1", "Hi")?;
        let copies = vec![outgoing(channels::INFERENCE_REQUEST, &command); 3];
        world.deps.bus.publish(copies).await?;
        world.fake.wait_received(PATIENCE, 1).await?;
        gate.open_all();
        let results = world.results(3).await?;
        assert!(
            results
                .iter()
                .all(|entry| Some(&entry.record) == results.first().map(|e| &e.record))
        );
        assert_eq!(world.fake.received().len(), 1);
        Ok(())
    }

    async fn given_up_for_a_passing_reason_a_command_may_run_again(database: Database) -> Result<()> {
        let world = world_on(database, &[("retries.tries", "2")]).await?;
        world.fake.push(Script::rate_limited(0));
        world.fake.push(Script::rate_limited(0));
        let (command, _) = question("c1", "Hi")?;
        let failed = world.ask(&command).await?.failed()?;
        assert_eq!(
            (failed.code.as_str(), failed.retryable),
            ("rate_limited", true)
        );
        assert_eq!(failed.provider.as_deref(), Some("it"));
        world.fake.push(Script::text("now"));
        world.publish(&command).await?;
        let (_, again) = world.answer(2).await?;
        assert_eq!(again.completed()?.message.content, "now");
        Ok(())
    }

    async fn a_lasting_failure_is_repeated_and_not_tried_again(database: Database) -> Result<()> {
        let world = world_on(database, &[]).await?;
        world.fake.push(Script::error(401, "who are you"));
        let (command, _) = question("c1", "Hi")?;
        let failed = world.ask(&command).await?.failed()?;
        assert_eq!(
            (failed.code.as_str(), failed.retryable),
            ("unauthorized", false)
        );
        world.publish(&command).await?;
        let results = world.results(2).await?;
        let records: Vec<_> = results.iter().map(|entry| &entry.record).collect();
        assert_eq!(records.first(), records.get(1));
        assert_eq!(world.fake.received().len(), 1);
        Ok(())
    }

    async fn nothing_of_a_deleted_conversation_is_kept_or_asked_again(
        database: Database
    ) -> Result<()> {
        let world = world_on(database, &[]).await?;
        world.fake.push(Script::text("a secret"));
        let (command, _) = question("c1", "Hi")?;
        world.ask(&command).await?.completed()?;
        let gone = deleted("d1", &command.metadata)?;
        world.tell(&[gone]).await?;
        receipts(&world, 1).await?;
        world.publish(&command).await?;
        all_settled(&world).await?;
        assert_eq!(world.results(1).await?.len(), 1);
        assert_eq!(world.fake.received().len(), 1);
        Ok(())
    }

    async fn what_runs_while_its_conversation_is_deleted_is_answered_no_more(
        database: Database
    ) -> Result<()> {
        let world = world_on(database, &[]).await?;
        let (script, gate) = Script::text("too late").gated();
        world.fake.push(script);
        let (command, _) = question("c1", "Hi")?;
        world.publish(&command).await?;
        world.fake.wait_received(PATIENCE, 1).await?;
        let gone = deleted("d1", &command.metadata)?;
        world.tell(&[gone]).await?;
        receipts(&world, 1).await?;
        gate.open_all();
        all_settled(&world).await?;
        assert!(world.all_results().await?.is_empty());
        assert_eq!(world.fake.received().len(), 1);
        Ok(())
    }
}

/// Waits until every command is done with.
pub(crate) async fn all_settled(world: &World) -> Result<()> {
    wait_until(PATIENCE, "every command to be settled", async || {
        let bus = &world.deps.bus;
        let backlog = bus.backlog(channels::INFERENCE_REQUEST, NAME).await?;
        Ok(backlog.undelivered + backlog.pending == 0)
    })
    .await
}
