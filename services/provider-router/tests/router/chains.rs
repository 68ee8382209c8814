//! Routes over real HTTP: whatever becomes of the first provider, the conversation goes on, and the
//! journal says which and why.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_bus::ReadFrom;
use nexus_contracts::events::{InferenceCompleted, InferenceRequested, UsageRecorded};
use nexus_contracts::settings::Privacy;
use nexus_contracts::{Envelope, channels, tables};
use nexus_service_kit::{Clock, envelope_of};
use nexus_testkit::openai::{FakeOpenAi, Script};
use nexus_testkit::{wait_for, wait_until};
use serde_json::{Value, json};

use crate::world::{PATIENCE, World, asking, world};

/// A router with the route `chain`: `first`, which is short of patience, then `second`.
async fn chain(more: &str) -> Result<(World, FakeOpenAi)> {
    let world = world(&[("reload_every", "5ms")]).await?;
    let second = FakeOpenAi::start().await?;
    let (one, other) = (world.fake.base_url(), second.base_url());
    let text = format!(
        "default: chain\nproviders:\n  first:\n    type: openai\n    base_url: {one}\n    model: m1\n    \
         timeouts: {{first_byte: 150ms, idle: 150ms, total: 400ms}}\n  second:\n    type: openai\n    \
         base_url: {other}\n    models: [{{name: m2, price: {{input: 2, output: 10}}}}]\n    \
         model: m2\nroutes:\n  chain:\n    \
         targets: [{{provider: first}}, {{provider: second}}]\n{more}"
    );
    world.edit(&text)?;
    wait_until(PATIENCE, "the chain", async || {
        let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
        Ok(rows.iter().any(|row| row.key == "chain") && rows.len() == 3)
    })
    .await?;
    Ok((world, second))
}

fn to_chain(id: &str) -> Result<Envelope> {
    Ok(asking(id, "Count.", Some("chain"), |_| {})?.0)
}

/// The first `count` usages on the bus.
async fn usages(world: &World, count: usize) -> Result<Vec<UsageRecorded>> {
    let all = async || {
        let read = world.deps.bus.read(channels::USAGE, ReadFrom::Start, 100);
        let entries = read.await?;
        Ok((entries.len() >= count).then_some(entries))
    };
    let entries = wait_for(PATIENCE, &format!("{count} usages"), all).await?;
    let usages = entries.iter().map(|entry| {
        let envelope = envelope_of(entry, channels::USAGE)?;
        ensure!(envelope.metadata.org_id.is_some() && envelope.metadata.causation_id.is_some());
        Ok(envelope.decode()?)
    });
    usages.collect()
}

/// Asks when the first provider does this after people have heard `before`, and returns the answer with
/// the code of its failure.
async fn after(script: Script, before: &str) -> Result<(InferenceCompleted, String)> {
    let (world, second) = chain("").await?;
    let (script, gate) = script.gated();
    world.fake.push(script);
    second.push(Script::text("three four"));
    let (question, run) = asking("c1", "Count.", Some("chain"), |_| {})?;
    world.publish(&question).await?;
    if !before.is_empty() {
        // What breaks off at once might be lost on the way.
        gate.open(2);
        world.heard(run, before).await?;
    }
    gate.open_all();
    let completed = world.answer(1).await?.1.completed()?;
    ensure!(completed.provider == "second", "{completed:?}");
    let attempts = completed.extra.get("attempts").context("who failed")?;
    let attempt = attempts.get(0).context("the first")?;
    ensure!(
        attempt["provider"] == "first" && attempt["model"] == "m1",
        "{attempt}"
    );
    ensure!(attempt["detail"].as_str().is_some_and(|why| why.len() > 5));
    let code = attempt["code"].as_str().unwrap_or_default().to_owned();
    let usages = usages(&world, 2).await?;
    let outcomes: Vec<&str> = usages.iter().map(|usage| usage.outcome.as_str()).collect();
    ensure!(outcomes == [code.as_str(), "completed"], "{outcomes:?}");
    Ok((completed, code))
}

#[tokio::test]
async fn before_the_first_word_the_next_answers_as_if_nothing_were() -> Result<()> {
    for (script, code) in [
        (Script::rate_limited(60), "rate_limited"),
        (Script::error(500, "broken"), "provider_failed"),
        (Script::error(401, "bad key"), "unauthorized"),
        (Script::error(400, "no such thing"), "bad_request"),
        (Script::hang(), "provider_failed"),
        (Script::reset(), "provider_failed"),
        (Script::garbage("data: {nonsense\n\n"), "provider_failed"),
        (Script::garbage("<html>502</html>"), "provider_failed"),
    ] {
        let shown = format!("{script:?}");
        let (completed, found) = after(script, "").await.context(shown.clone())?;
        ensure!(found == code, "{shown}: {found}");
        ensure!(completed.message.content == "three four", "{shown}");
        ensure!(
            !completed.metadata.contains_key("seams"),
            "{shown}: no seam"
        );
        ensure!(completed.extra.get("route") == Some(&json!("chain")));
    }
    Ok(())
}

#[tokio::test]
async fn in_the_middle_the_next_goes_on_and_the_seam_is_marked() -> Result<()> {
    let count = || Script::tokens(["one ", "two ", "and ", "more"]);
    let error = "data: {\"error\":{\"code\":429,\"message\":\"slow down\"}}\n\n";
    for (script, code) in [
        (count().cut_after(2), "provider_failed"),
        (count().hang_after(2), "provider_failed"),
        (
            count().raw_after(2, "data: {nonsense\n\n"),
            "provider_failed",
        ),
        (count().raw_after(2, error), "rate_limited"),
    ] {
        let shown = format!("{script:?}");
        let (completed, found) = after(script, "one two ").await.context(shown.clone())?;
        ensure!(found == code, "{shown}: {found}");
        ensure!(
            completed.message.content == "one two three four",
            "{shown}: {completed:?}"
        );
        let seam = completed
            .metadata
            .get("seams")
            .and_then(|seams| seams.get(0));
        let seam = seam.context("a seam")?;
        ensure!(seam["at"] == 8, "{seam}");
        ensure!(
            seam["from"] == json!({"provider": "first", "model": "m1"}),
            "{seam}"
        );
        ensure!(
            seam["to"] == json!({"provider": "second", "model": "m2"}),
            "{seam}"
        );
        // Both parts are paid for.
        ensure!(completed.usage.output_tokens > 7, "{:?}", completed.usage);
    }
    Ok(())
}

#[tokio::test]
async fn a_drip_that_never_falls_silent_ends_at_the_total() -> Result<()> {
    let (world, second) = chain("").await?;
    let words = vec!["drip "; 10_000];
    let (script, gate) = Script::tokens(words).gated();
    world.fake.push(script);
    second.push(Script::text("and done"));
    let mut drops = tokio::time::interval(Duration::from_millis(20));
    let question = to_chain("c1")?;
    let mut asked = std::pin::pin!(world.ask(&question));
    let completed = loop {
        tokio::select! {
            answer = &mut asked => break answer?.completed()?,
            _ = drops.tick() => gate.open(1),
        }
    };
    ensure!(completed.message.content.starts_with("drip "));
    ensure!(completed.message.content.ends_with("and done"));
    ensure!(completed.metadata.contains_key("seams"));
    Ok(())
}

#[tokio::test]
async fn when_everybody_fails_the_failure_says_so_of_each() -> Result<()> {
    let (world, second) = chain("").await?;
    world.fake.push(Script::error(400, "one word"));
    second.push(Script::error(401, "another word"));
    let failed = world.ask(&to_chain("c1")?).await?.failed()?;
    ensure!(failed.detail.contains("one word") && failed.detail.contains("another word"));
    ensure!(
        failed.code == "bad_request" && failed.provider.is_none(),
        "{failed:?}"
    );
    let attempts = failed.extra.get("attempts").and_then(Value::as_array);
    ensure!(attempts.is_some_and(|all| all.len() == 2), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn an_answer_is_priced_and_told() -> Result<()> {
    let (world, second) = chain("").await?;
    second.push(Script::text("Hi").usage(1_000, 20));
    let question = asking("c1", "Hi", Some("second"), |_| {})?.0;
    let completed = world.ask(&question).await?.completed()?;
    // 1,000 tokens at 2 dollars a million, 20 at 10.
    ensure!(
        completed.usage.cost_microusd == Some(2_200),
        "{completed:?}"
    );
    let usage = usages(&world, 1).await?.pop().context("one")?;
    ensure!(
        usage.usage == completed.usage && !usage.estimated,
        "{usage:?}"
    );
    ensure!((usage.provider.as_str(), usage.attempt) == ("second", 1));
    // The same command again: the same answer and the same usage, under the same ids.
    world.publish(&question).await?;
    world.results(2).await?;
    let read = world
        .deps
        .bus
        .read(channels::USAGE, ReadFrom::Start, 100)
        .await?;
    let ids: Vec<_> = read.iter().map(|entry| entry.record.text("id")).collect();
    ensure!(ids.len() == 2 && ids.first() == ids.get(1), "{ids:?}");
    Ok(())
}

#[tokio::test]
async fn what_may_not_leave_is_refused_before_anybody_is_asked() -> Result<()> {
    let (world, second) = chain("").await?;
    // Both are on this machine; the first is now said to be elsewhere.
    let text = format!(
        "providers: {{away: {{type: openai, base_url: \"{}\", model: m, locality: remote}}}}",
        second.base_url()
    );
    world.edit(&text)?;
    wait_until(PATIENCE, "the one that is away", async || {
        let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
        Ok(rows.iter().map(|row| row.key.as_str()).eq(["away"]))
    })
    .await?;
    let question = asking("c1", "My diagnosis is …", Some("away"), |_| {})?.0;
    let failed = world
        .ask(&private(question, Privacy::Sensitive)?)
        .await?
        .failed()?;
    ensure!(
        failed.code == "privacy_refused" && !failed.retryable,
        "{failed:?}"
    );
    ensure!(failed.detail.contains("`privacy: sensitive`"), "{failed:?}");
    ensure!(second.received().is_empty(), "nothing has left");
    Ok(())
}

fn private(mut question: Envelope, privacy: Privacy) -> Result<Envelope> {
    let mut asked: InferenceRequested = question.decode()?;
    asked.privacy = privacy;
    let id = question.id.clone();
    question.payload = Envelope::new(id, Clock::system().now(), &asked)?.payload;
    Ok(question)
}
