//! Another `providers.yaml`, while the router runs and while it does not.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_contracts::Envelope;
use nexus_contracts::events::{InferenceCompleted, InferenceFailed};
use nexus_testkit::openai::{FakeOpenAi, Script};

use crate::routed::{has_model, names, reply_to, take_up, take_up_model};
use crate::world::{PATIENCE, World, asking, world};

/// The provider `it` there, with this model, and more lines.
fn file(fake: &FakeOpenAi, model: &str, more: &str) -> String {
    let base_url = fake.base_url();
    format!(
        "default: it\nproviders:\n  it:\n    type: openai\n    base_url: \"{base_url}\"\n    \
         model: {model}\n{more}"
    )
}

async fn publish(world: &World, id: &str, provider: &str) -> Result<Envelope> {
    let (command, _) = asking(id, "q", Some(provider), |_| {})?;
    world.publish(&command).await?;
    Ok(command)
}

async fn completed(world: &World, id: &str, provider: &str) -> Result<InferenceCompleted> {
    let command = publish(world, id, provider).await?;
    reply_to(world, &command).await?.completed()
}

async fn failed(world: &World, id: &str, provider: &str) -> Result<InferenceFailed> {
    let command = publish(world, id, provider).await?;
    reply_to(world, &command).await?.failed()
}

/// litellm #30772: asking for a reload was answered with 404, so that every change cost a restart
/// and with it the calls that were running.
#[tokio::test]
async fn no_edit_makes_a_call_unknown_or_ends_one() -> Result<()> {
    let world = world(&[("reload_every", "5ms")]).await?;
    let fake = &world.fake;
    let other = format!(
        "  other: {{type: openai, base_url: \"{}\", model: o}}\n",
        fake.base_url()
    );
    let without = file(fake, "m", "");
    let with = file(fake, "m", &other);
    take_up(&world, &without, &["it"]).await?;
    let unknown = failed(&world, "early", "other").await?;
    ensure!(unknown.code == "unknown_provider", "{unknown:?}");
    let (script, gate) = Script::text("late").gated();
    fake.push(script);
    let running = publish(&world, "running", "it").await?;
    fake.wait_received(PATIENCE, 1).await?;
    // Edited again and again, sometimes between two looks, while questions come in.
    let mut commands = Vec::new();
    for number in 0..30 {
        world.edit(if number % 2 == 0 { &with } else { &without })?;
        fake.push(Script::text("quick"));
        commands.push(publish(&world, &format!("c{number}"), "it").await?);
        tokio::task::yield_now().await;
    }
    for command in &commands {
        let answer = reply_to(&world, command).await?;
        answer.completed().with_context(|| command.id.to_string())?;
    }
    take_up(&world, &with, &["it", "other"]).await?;
    fake.push(Script::text("known"));
    let known = completed(&world, "late", "other").await?;
    ensure!(known.provider == "other", "{known:?}");
    // One whose provider is taken out of the file ends with it all the same.
    let (script, going) = Script::text("last").gated();
    fake.push(script);
    let going_on = publish(&world, "going", "other").await?;
    fake.wait_received(PATIENCE, 33).await?;
    take_up(&world, &without, &["it"]).await?;
    gate.open_all();
    going.open_all();
    for (command, text) in [(&running, "late"), (&going_on, "last")] {
        let answer = reply_to(&world, command).await?.completed()?;
        ensure!(answer.message.content == text, "{answer:?}");
    }
    let unknown = failed(&world, "afterwards", "other").await?;
    ensure!(unknown.code == "unknown_provider", "{unknown:?}");
    Ok(())
}

/// litellm #20409: nobody could say whether and when an edited file counts.
#[tokio::test]
async fn an_edit_counts_without_a_restart() -> Result<()> {
    let world = world(&[("reload_every", "5ms")]).await?;
    let second = FakeOpenAi::start().await?;
    let header = "    headers: {x-team: blue}\n";
    take_up_model(&world, &file(&second, "newer", header), "newer").await?;
    second.push(Script::text("from the second"));
    let answer = completed(&world, "c1", "it").await?;
    ensure!(answer.message.content == "from the second", "{answer:?}");
    ensure!(world.fake.received().is_empty(), "the first was asked");
    let received = second.received();
    let received = received.first().context("a request")?;
    ensure!(received.body["model"] == "newer", "{}", received.body);
    ensure!(
        received.headers["x-team"] == "blue",
        "{:?}",
        received.headers
    );
    Ok(())
}

/// litellm #20409, for an edit that mends what was wrong: what the old address did is not held
/// against the new one.
#[tokio::test]
async fn an_edit_that_mends_a_provider_counts_at_once() -> Result<()> {
    let settings = [("reload_every", "5ms"), ("retries.tries", "1")];
    let world = world(&settings).await?;
    let breaker = "    breaker: {failures: 1, cooldown: 5m, max_cooldown: 5m}\n";
    let wrong = file(
        &world.fake,
        "m",
        &format!("    models: [m, wrong]\n{breaker}"),
    );
    take_up_model(&world, &wrong, "wrong").await?;
    world.fake.push(Script::error(500, "oops"));
    let broken = failed(&world, "c1", "it").await?;
    ensure!(broken.code == "provider_failed", "{broken:?}");
    let second = FakeOpenAi::start().await?;
    let mended = file(&second, "m", &format!("    models: [m, mended]\n{breaker}"));
    take_up_model(&world, &mended, "mended").await?;
    second.push(Script::text("mended"));
    let answer = completed(&world, "c2", "it").await?;
    ensure!(answer.message.content == "mended", "{answer:?}");
    Ok(())
}

/// bifrost #6434: what was changed in the running gateway was gone after every restart.
#[tokio::test]
async fn an_edit_is_still_there_after_a_restart() -> Result<()> {
    let world = world(&[("reload_every", "5ms")]).await?;
    let second = FakeOpenAi::start().await?;
    take_up_model(&world, &file(&second, "second", ""), "second").await?;
    world.deps.stop(Duration::ZERO).await;
    let restarted = world.worker().await?;
    second.push(Script::text("as edited"));
    let answer = completed(&world, "c1", "it").await?;
    ensure!(answer.message.content == "as edited", "{answer:?}");
    ensure!(
        names(&world).await? == ["it"],
        "more than the edited file has"
    );
    // Edited while nobody runs.
    restarted.stop(Duration::ZERO).await;
    let third = FakeOpenAi::start().await?;
    world.edit(&file(&third, "third", ""))?;
    let restarted = world.worker().await?;
    has_model(&world, "third").await?;
    third.push(Script::text("as edited again"));
    let answer = completed(&world, "c2", "it").await?;
    ensure!(answer.message.content == "as edited again", "{answer:?}");
    let received = third.received();
    let received = received.first().context("a request")?;
    ensure!(received.body["model"] == "third", "{}", received.body);
    ensure!(second.received().len() == 1 && world.fake.received().is_empty());
    restarted.stop(Duration::ZERO).await;
    Ok(())
}
