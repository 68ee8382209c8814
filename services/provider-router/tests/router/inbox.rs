//! A person as the last of a chain: asked through the table, answering through it or over HTTP.

mod desk;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_bus::{Expect, PutOutcome, ReadFrom, TableVersion};
use nexus_contracts::events::UsageRecorded;
use nexus_contracts::live::Cancelled;
use nexus_contracts::{channels, tables};
use nexus_provider_router::provider::human::{Closed, HumanAnswer, InboxEntry};
use nexus_service_kit::{Clock, envelope_of, put_table};
use nexus_testkit::openai::Script;
use nexus_testkit::{wait_for, wait_until};
use serde_json::json;

use crate::keeper::{deleted, receipts};
use crate::ledger::all_settled;
use crate::world::{PATIENCE, World, asking, world};

/// A router with the route `chain`: `it`, then the person `people` with these settings.
async fn people(person: &str, settings: &[(&str, &str)]) -> Result<World> {
    let person = format!("people: {{type: human{person}}}");
    chain(
        &[&person],
        "targets: [{provider: it}, {provider: people}]",
        settings,
    )
    .await
}

/// A router with these persons beside `it`, and with this route `chain`.
async fn chain(persons: &[&str], route: &str, settings: &[(&str, &str)]) -> Result<World> {
    let quickly = [("reload_every", "5ms")];
    let settings: Vec<_> = quickly.iter().chain(settings).copied().collect();
    let world = world(&settings).await?;
    let url = world.fake.base_url();
    let text = format!(
        "default: chain\nproviders:\n  it: {{type: openai, base_url: \"{url}\", model: m}}\n  \
         {}\nroutes:\n  chain:\n    {route}\n",
        persons.join("\n  ")
    );
    world.edit(&text)?;
    wait_until(PATIENCE, "the chain", async || {
        let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
        let wanted = rows.len() == persons.len() + 2;
        Ok(wanted && rows.iter().any(|row| row.key == "chain"))
    })
    .await?;
    Ok(world)
}

fn answered(text: &str, by: Option<&str>) -> Closed {
    Closed::Answered(HumanAnswer {
        text: text.to_owned(),
        by: by.map(str::to_owned),
        at: Clock::system().now(),
    })
}

/// The only question in the inbox.
async fn found(world: &World) -> Result<Option<(InboxEntry, TableVersion)>> {
    let mut rows = world.deps.bus.table_list(tables::INBOX).await?;
    ensure!(rows.len() < 2, "{rows:?}");
    let Some(row) = rows.pop() else {
        return Ok(None);
    };
    let entry = InboxEntry::read(&row.value).context("a question that reads")?;
    ensure!(entry.key() == row.key, "{}", row.key);
    Ok(Some((entry, row.version)))
}

/// The question, once there is one.
async fn waiting(world: &World) -> Result<(InboxEntry, TableVersion)> {
    wait_for(PATIENCE, "a question", async || {
        let found = found(world).await?;
        Ok(found.filter(|(entry, _)| entry.closed().is_none()))
    })
    .await
}

/// A person deals with the question.
async fn close(world: &World, closed: &Closed) -> Result<()> {
    let (mut entry, version) = waiting(world).await?;
    entry.close(closed);
    let (key, value) = (entry.key(), serde_json::to_vec(&entry)?);
    let bus = &world.deps.bus;
    let put = bus.table_put(tables::INBOX, &key, value.into(), Expect::Version(version));
    let put = put.await?;
    ensure!(matches!(put, PutOutcome::Stored(_)), "{put:?}");
    Ok(())
}

/// Of the question nothing is left but what was said.
async fn settled(world: &World) -> Result<()> {
    wait_until(PATIENCE, "the question to be settled", async || {
        let found = found(world).await?;
        Ok(found.is_some_and(|(entry, _)| entry.is_dealt_with() && entry.conversation.is_empty()))
    })
    .await
}

async fn gone(world: &World) -> Result<()> {
    wait_until(PATIENCE, "the inbox to be empty", async || {
        Ok(found(world).await?.is_none())
    })
    .await
}

/// The usage in this place, from 1.
async fn used(world: &World, place: usize) -> Result<UsageRecorded> {
    wait_for(PATIENCE, "usage", async || {
        let bus = &world.deps.bus;
        let entries = bus.read(channels::USAGE, ReadFrom::Start, 10).await?;
        let Some(entry) = entries.get(place - 1) else {
            return Ok(None);
        };
        let envelope = envelope_of(entry, channels::USAGE)?;
        Ok(Some(envelope.decode()?))
    })
    .await
}

#[tokio::test]
async fn where_every_model_fails_a_person_answers() -> Result<()> {
    let world = people("", &[]).await?;
    world.fake.push(Script::error(400, "not for me"));
    let (question, run) = asking("c1", "What is love?", Some("chain"), |_| {})?;
    world.publish(&question).await?;
    let (entry, _) = waiting(&world).await?;
    ensure!(
        entry.question == "What is love?" && entry.provider == "people",
        "{entry:?}"
    );
    ensure!(Some(entry.org) == question.metadata.org_id, "{entry:?}");
    close(&world, &answered("Baby don't hurt me.", Some("Ann"))).await?;
    let completed = world.answer(1).await?.1.completed()?;
    ensure!(
        completed.provider == "people" && completed.model == "a-person",
        "{completed:?}"
    );
    ensure!(completed.message.content == "Baby don't hurt me.");
    let human = completed.metadata.get("human");
    ensure!(human == Some(&json!({ "by": "Ann" })), "{completed:?}");
    let attempts = completed.extra.get("attempts").context("who failed")?;
    ensure!(attempts[0]["provider"] == "it", "{attempts}");
    world.heard(run, "Baby don't hurt me.").await?;
    let usage = used(&world, 2).await?;
    ensure!(
        usage.provider == "people" && usage.outcome == "completed",
        "{usage:?}"
    );
    ensure!(
        usage.usage.tokens() == 0 && !usage.estimated,
        "people have no tokens: {usage:?}"
    );
    settled(&world).await
}

#[tokio::test]
async fn a_person_who_declines_is_a_failure_that_says_why() -> Result<()> {
    let world = people("", &[]).await?;
    world.fake.push(Script::error(400, "not for me"));
    let (question, _) = asking("c1", "Sue them?", Some("chain"), |_| {})?;
    world.publish(&question).await?;
    close(&world, &Closed::Declined("ask the lawyers".to_owned())).await?;
    let failed = world.answer(1).await?.1.failed()?;
    ensure!(
        failed.code == "bad_request" && !failed.retryable,
        "{failed:?}"
    );
    for words in ["not for me", "a person declined", "ask the lawyers"] {
        ensure!(failed.detail.contains(words), "{failed:?}");
    }
    settled(&world).await
}

#[tokio::test]
async fn another_worker_goes_on_waiting_for_the_same_question() -> Result<()> {
    let world = people("", &[("lease", "1s")]).await?;
    let (question, _) = asking("c1", "Still there?", Some("people"), |_| {})?;
    world.publish(&question).await?;
    let (before, version) = waiting(&world).await?;
    world.deps.stop(Duration::ZERO).await;
    let left = found(&world).await?;
    ensure!(left == Some((before.clone(), version)), "left where it was");
    let successor = world.worker().await?;
    let after = wait_for(PATIENCE, "the other worker", async || {
        let (entry, _) = waiting(&world).await?;
        Ok((entry.waiter != before.waiter).then_some(entry))
    })
    .await?;
    ensure!(after.asked_at == before.asked_at && after.id == before.id);
    close(&world, &answered("Yes.", None)).await?;
    let completed = world.answer(1).await?.1.completed()?;
    ensure!(completed.message.content == "Yes.", "{completed:?}");
    ensure!(!completed.metadata.contains_key("human"), "{completed:?}");
    settled(&world).await?;
    successor.stop(Duration::ZERO).await;
    Ok(())
}

#[tokio::test]
async fn what_was_answered_while_nobody_looked_is_taken() -> Result<()> {
    let world = people("", &[("lease", "1s")]).await?;
    let (question, _) = asking("c1", "Anyone?", Some("people"), |_| {})?;
    world.publish(&question).await?;
    waiting(&world).await?;
    world.deps.stop(Duration::ZERO).await;
    close(&world, &answered("Me.", None)).await?;
    let successor = world.worker().await?;
    let completed = world.answer(1).await?.1.completed()?;
    ensure!(completed.message.content == "Me.", "{completed:?}");
    settled(&world).await?;
    successor.stop(Duration::ZERO).await;
    Ok(())
}

#[tokio::test]
async fn a_cancelled_run_leaves_no_question() -> Result<()> {
    let world = people("", &[]).await?;
    let (question, run) = asking("c1", "Never mind.", Some("people"), |_| {})?;
    world.publish(&question).await?;
    waiting(&world).await?;
    let now = world.deps.clock.now();
    let cancelled = Cancelled {
        at: now,
        until: now.plus_millis(60_000),
    };
    let (bus, run) = (&world.deps.bus, run.to_string());
    put_table(bus, tables::RUNS_CANCELLED, &run, &cancelled).await?;
    let failed = world.answer(1).await?.1.failed()?;
    ensure!(failed.code == "cancelled", "{failed:?}");
    gone(&world).await
}

#[tokio::test]
async fn a_question_nobody_answers_ends_at_the_deadline() -> Result<()> {
    let world = people("", &[]).await?;
    let until = world.deps.clock.now().plus_millis(1_000);
    let (question, _) = asking("c1", "Anyone?", Some("people"), |metadata| {
        metadata.deadline = Some(until);
    })?;
    let failed = world.ask(&question).await?.failed()?;
    ensure!(failed.code == "deadline_exceeded", "{failed:?}");
    gone(&world).await
}

#[tokio::test]
async fn a_question_nobody_answers_ends_at_the_total() -> Result<()> {
    let world = people(", timeouts: {total: 200ms}", &[("retries.tries", "1")]).await?;
    let (question, _) = asking("c1", "Anyone?", Some("people"), |_| {})?;
    let failed = world.ask(&question).await?.failed()?;
    ensure!(
        failed.code == "deadline_exceeded" && !failed.retryable,
        "{failed:?}"
    );
    ensure!(failed.detail.contains("nobody answered"), "{failed:?}");
    gone(&world).await
}

#[tokio::test]
async fn where_one_person_declines_the_next_one_is_asked() -> Result<()> {
    let persons = ["boss: {type: human}", "clerk: {type: human}"];
    let route = "targets: [{provider: it}, {provider: boss}, {provider: clerk}]";
    let world = chain(&persons, route, &[]).await?;
    world.fake.push(Script::error(400, "not for me"));
    let (question, _) = asking("c1", "Who?", Some("chain"), |_| {})?;
    world.publish(&question).await?;
    ensure!(waiting(&world).await?.0.provider == "boss");
    close(&world, &Closed::Declined("not my job".to_owned())).await?;
    ensure!(waiting(&world).await?.0.provider == "clerk");
    close(&world, &answered("Me.", None)).await?;
    let completed = world.answer(1).await?.1.completed()?;
    ensure!(completed.provider == "clerk", "{completed:?}");
    settled(&world).await
}

#[tokio::test]
async fn what_somebody_else_answers_after_a_crash_waits_for_nobody() -> Result<()> {
    let world = people("", &[("lease", "1s")]).await?;
    world.fake.push(Script::error(400, "not for me"));
    let (question, _) = asking("c1", "Anyone?", Some("chain"), |_| {})?;
    world.publish(&question).await?;
    waiting(&world).await?;
    world.deps.stop(Duration::ZERO).await;
    world.fake.push(Script::text("back again"));
    let successor = world.worker().await?;
    let completed = world.answer(1).await?.1.completed()?;
    ensure!(completed.message.content == "back again", "{completed:?}");
    gone(&world).await?;
    successor.stop(Duration::ZERO).await;
    Ok(())
}

#[tokio::test]
async fn a_question_goes_with_its_conversation() -> Result<()> {
    let world = people("", &[("lease", "1s")]).await?;
    let (question, _) = asking("c1", "A secret?", Some("people"), |_| {})?;
    world.publish(&question).await?;
    waiting(&world).await?;
    world.tell(&[deleted("d1", &question.metadata)?]).await?;
    receipts(&world, 1).await?;
    for row in world.deps.bus.table_list(tables::INBOX).await? {
        let left = String::from_utf8_lossy(&row.value).into_owned();
        ensure!(!left.contains("secret"), "{left}");
    }
    all_settled(&world).await?;
    gone(&world).await?;
    ensure!(world.all_results().await?.is_empty(), "answered for nobody");
    Ok(())
}

#[tokio::test]
async fn a_question_goes_though_nobody_waits_for_it_any_more() -> Result<()> {
    let world = people("", &[("lease", "1s")]).await?;
    let (question, _) = asking("c1", "A secret?", Some("people"), |_| {})?;
    let (other, _) = asking("c2", "Another?", Some("people"), |_| {})?;
    world.publish(&question).await?;
    let (entry, _) = waiting(&world).await?;
    world.deps.stop(Duration::ZERO).await;
    // Of another organisation, with the same conversation and an id of its own.
    let org = other.metadata.org_id.context("an organisation")?;
    let theirs = InboxEntry { org, ..entry };
    put_table(&world.deps.bus, tables::INBOX, &theirs.key(), &theirs).await?;
    world.tell(&[deleted("d1", &question.metadata)?]).await?;
    let successor = world.worker().await?;
    receipts(&world, 1).await?;
    wait_until(PATIENCE, "only the other's to be left", async || {
        let rows = world.deps.bus.table_list(tables::INBOX).await?;
        let entries = rows.iter().map(|row| InboxEntry::read(&row.value));
        Ok(entries.eq([Some(theirs.clone())]))
    })
    .await?;
    successor.stop(Duration::ZERO).await;
    Ok(())
}

#[tokio::test]
async fn a_bus_that_lost_its_data_is_told_the_question_again() -> Result<()> {
    let world = people("", &[]).await?;
    let (question, _) = asking("c1", "Still there?", Some("people"), |_| {})?;
    world.publish(&question).await?;
    let (before, _) = waiting(&world).await?;
    let bus = &world.deps.bus;
    bus.table_delete(tables::INBOX, &before.key(), Expect::Any)
        .await?;
    let (after, _) = waiting(&world).await?;
    ensure!(after == before, "{after:?}");
    close(&world, &answered("Yes.", None)).await?;
    world.answer(1).await?.1.completed()?;
    settled(&world).await
}

#[tokio::test]
async fn no_person_is_asked_beside_a_model() -> Result<()> {
    let route = "targets: [{provider: it}, {provider: people}]\n    hedge_after: 5ms";
    let world = chain(&["people: {type: human}"], route, &[]).await?;
    let (script, gate) = Script::text("slow").gated();
    world.fake.push(script);
    let (question, _) = asking("c1", "Anyone?", Some("chain"), |_| {})?;
    world.publish(&question).await?;
    world.fake.wait_received(PATIENCE, 1).await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    ensure!(found(&world).await?.is_none(), "nobody was needed");
    gate.open_all();
    let completed = world.answer(1).await?.1.completed()?;
    ensure!(completed.message.content == "slow", "{completed:?}");
    Ok(())
}
