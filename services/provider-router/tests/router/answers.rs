//! What each kind of command is answered.

use std::time::Duration;

use anyhow::{Context, Result};
use nexus_bus::{Expect, ReadFrom};
use nexus_contracts::live::LiveEvent;
use nexus_contracts::{Timestamp, channels, tables};
use nexus_provider_router::ProviderStatus;
use nexus_provider_router::registry::file::Text;
use nexus_provider_router::reload::Reload;
use nexus_testkit::openai::Script;
use nexus_testkit::wait_until;
use serde_json::json;

use crate::world::{CANARY, PATIENCE, asking, question, quiet, text_of, world};

#[tokio::test]
async fn the_demo_model_answers_and_says_what_it_is() -> Result<()> {
    let world = world(&[]).await?;
    let (command, run) = asking("c1", "Hello!", None, |_| {})?;
    world.publish(&command).await?;
    let (result, answer) = world.answer(1).await?;
    let completed = answer.completed()?;
    assert_eq!(completed.message.content, "Hello!");
    assert_eq!(
        (completed.provider.as_str(), completed.model.as_str()),
        ("demo", "demo-1")
    );
    assert_eq!(completed.metadata["provider.demo"], json!(true));
    assert_eq!(result.id, command.id.result("inference"));
    assert_eq!(result.correlation_id, command.correlation_id);
    assert_eq!(result.metadata.causation_id.as_ref(), Some(&command.id));
    assert_eq!(result.metadata.run_id, Some(run));
    let heard = world.heard(run, "Hello!").await?;
    assert_eq!(
        heard,
        [LiveEvent::Delta {
            step: 1,
            text: "Hello!".to_owned()
        }]
    );
    Ok(())
}

#[tokio::test]
async fn words_reach_listeners_as_they_come() -> Result<()> {
    let world = world(&[]).await?;
    let (script, gate) = Script::tokens(["one ", "two ", "three"]).gated();
    world.fake.push(script);
    let (command, run) = question("c1", "count")?;
    world.publish(&command).await?;
    for shown in ["one ", "one two ", "one two three"] {
        gate.open(1);
        world.heard(run, shown).await?;
        let read = world
            .deps
            .bus
            .read(channels::INFERENCE_RESPONSE, ReadFrom::Start, 1)
            .await?;
        assert!(read.is_empty(), "no result before the model is done");
    }
    gate.open_all();
    let (_, answer) = world.answer(1).await?;
    let completed = answer.completed()?;
    assert_eq!(completed.message.content, "one two three");
    assert_eq!(
        (completed.usage.input_tokens, completed.usage.output_tokens),
        (11, 7)
    );
    assert_eq!(
        (completed.provider.as_str(), completed.model.as_str()),
        ("it", "m")
    );
    Ok(())
}

#[tokio::test]
async fn a_quiet_answer_is_heard_by_nobody() -> Result<()> {
    let world = world(&[]).await?;
    let (script, gate) = Script::tokens(["one ", "two"]).gated();
    world.fake.push(script);
    let (mut command, run) = question("c1", "Hi")?;
    command = quiet(command)?;
    world.publish(&command).await?;
    gate.open(1);
    world.fake.wait_received(PATIENCE, 1).await?;
    gate.open_all();
    let (_, answer) = world.answer(1).await?;
    assert_eq!(answer.completed()?.message.content, "one two");
    // Whatever is heard of the run comes in order: nothing came before this.
    nexus_service_kit::report(
        &world.deps.bus,
        run,
        &LiveEvent::Delta {
            step: 9,
            text: "last".to_owned(),
        },
    )
    .await;
    assert_eq!(world.heard(run, "last").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_passing_failure_is_tried_again() -> Result<()> {
    let world = world(&[]).await?;
    for script in [
        Script::error(500, "oops"),
        Script::reset(),
        Script::text("at last"),
    ] {
        world.fake.push(script);
    }
    let (command, run) = question("c1", "Hi")?;
    assert_eq!(
        world.ask(&command).await?.completed()?.message.content,
        "at last"
    );
    assert_eq!(world.fake.received().len(), 3);
    assert_eq!(text_of(&world.heard(run, "at last").await?), "at last");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_breaks_off_fails_and_is_not_tried_again() -> Result<()> {
    let world = world(&[]).await?;
    let (script, gate) = Script::tokens(["one ", "two ", "three"])
        .cut_after(2)
        .gated();
    world.fake.push(script);
    let (command, run) = question("c1", "Hi")?;
    world.publish(&command).await?;
    gate.open(2);
    world.heard(run, "one two ").await?;
    gate.open_all();
    let (_, answer) = world.answer(1).await?;
    assert_eq!(answer.failed()?.code, "provider_failed");
    assert_eq!(world.fake.received().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_deadline_is_kept_before_and_during_a_call() -> Result<()> {
    let world = world(&[]).await?;
    let past = Timestamp::from_millis(1);
    let (command, _) = asking("c1", "Hi", Some("it"), |metadata| {
        metadata.deadline = Some(past);
    })?;
    let failed = world.ask(&command).await?.failed()?;
    assert_eq!(failed.code, "deadline_exceeded");
    assert!(world.fake.received().is_empty());
    world.fake.push(Script::hang());
    let soon = world.deps.clock.now().plus_millis(300);
    let (command, _) = asking("c2", "Hi", Some("it"), |metadata| {
        metadata.deadline = Some(soon);
    })?;
    world.publish(&command).await?;
    let (_, answer) = world.answer(2).await?;
    assert_eq!(answer.failed()?.code, "deadline_exceeded");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_asked_says_what_to_do() -> Result<()> {
    let world = world(&[]).await?;
    for (place, (provider, code, words)) in [
        ("itt", "unknown_provider", "did you mean `it`?"),
        ("keyless", "missing_key", "NEXUS_TEST_NO_SUCH_KEY"),
    ]
    .into_iter()
    .enumerate()
    {
        let (command, _) = asking(&format!("c{place}"), "Hi", Some(provider), |_| {})?;
        world.publish(&command).await?;
        let (_, answer) = world.answer(place + 1).await?;
        let failed = answer.failed()?;
        assert_eq!(failed.code, code);
        assert!(failed.detail.contains(words), "{}", failed.detail);
    }
    Ok(())
}

#[tokio::test]
async fn an_unreadable_command_is_parked_and_its_sender_told() -> Result<()> {
    let world = world(&[]).await?;
    let (mut broken, _) = question("c1", "Hi")?;
    broken.payload = "nonsense".into();
    let (nobodys, _) = asking("c2", "Hi", None, |metadata| metadata.org_id = None)?;
    let (mut other, _) = question("c3", "Hi")?;
    other.event_type = "painting.requested".to_owned();
    for (place, command) in [broken, nobodys, other].iter().enumerate() {
        world.publish(command).await?;
        let (result, answer) = world.answer(place + 1).await?;
        assert_eq!(result.id, command.id.result("inference"));
        assert_eq!(answer.failed()?.code, "bad_request");
    }
    let dead = format!("{}.dead", channels::INFERENCE_REQUEST);
    let dead = world.deps.bus.read(&dead, ReadFrom::Start, 10).await?;
    assert_eq!(dead.len(), 3);
    assert_eq!(
        dead.first().and_then(|entry| entry.record.text("payload")),
        Some("nonsense")
    );
    Ok(())
}

#[tokio::test]
async fn the_list_of_providers_is_published() -> Result<()> {
    let world = world(&[]).await?;
    let bus = &world.deps.bus;
    let listed = async || {
        let values = bus.table_list(tables::PROVIDERS).await?;
        let read = values
            .iter()
            .map(|value| serde_json::from_slice(&value.value));
        anyhow::Ok(read.collect::<Result<Vec<ProviderStatus>, _>>()?)
    };
    wait_until(PATIENCE, "three providers", async || {
        Ok(listed().await?.len() == 3)
    })
    .await?;
    let statuses = listed().await?;
    let of = |name: &str| {
        statuses
            .iter()
            .find(|status| status.name == name)
            .context("listed")
    };
    assert!(of("demo")?.default && of("demo")?.demo && of("demo")?.usable);
    assert!(of("it")?.usable && !of("it")?.demo && !of("it")?.default);
    let keyless = of("keyless")?;
    assert!(
        !keyless.usable
            && keyless
                .reason
                .as_deref()
                .is_some_and(|why| why.contains("KEY"))
    );
    Ok(())
}

#[tokio::test]
async fn providers_that_are_gone_are_taken_off_the_list() -> Result<()> {
    let world = world(&[]).await?;
    let bus = &world.deps.bus;
    let listed = async |count| {
        wait_until(PATIENCE, &format!("{count} providers"), async || {
            Ok(bus.table_list(tables::PROVIDERS).await?.len() == count)
        })
        .await
    };
    // The router itself has written what it has; now another one starts, with less.
    listed(3).await?;
    let left = json!({"name": "left"}).to_string();
    bus.table_put(tables::PROVIDERS, "left", left.into(), Expect::Any)
        .await?;
    let read = || {
        Ok(Text {
            name: "providers.yaml".to_owned(),
            yaml: "providers: {demo: {type: demo}}".to_owned(),
        })
    };
    let (_looks_no_more, providers) = Reload::new(read, None)?;
    let deps = world.deps.clone();
    deps.tasks.clone().spawn(
        "announce",
        nexus_provider_router::announce::keep(deps, providers),
    );
    listed(1).await
}

#[tokio::test]
async fn no_secret_shows_in_results_or_logs() -> Result<()> {
    let logs = crate::world::Logs::default();
    let _guard = logs.install();
    let world = world(&[("retries.tries", "2")]).await?;
    world
        .fake
        .push(Script::error(500, &format!("you sent Bearer {CANARY}")));
    world
        .fake
        .push(Script::error(401, &format!("bad key {CANARY}")));
    let (command, _) = question("c1", "Hi")?;
    let failed = world.ask(&command).await?.failed()?;
    assert_eq!(failed.code, "unauthorized");
    let shown = format!("{failed:?} {}", logs.text());
    assert!(shown.contains("a provider failed"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_stops_finishes_what_it_began() -> Result<()> {
    let world = world(&[]).await?;
    let (script, gate) = Script::text("finished").gated();
    world.fake.push(script);
    let (command, _) = question("c1", "Hi")?;
    world.publish(&command).await?;
    world.fake.wait_received(PATIENCE, 1).await?;
    let stopping = world.deps.stop(Duration::from_secs(20));
    let ((), ()) = tokio::join!(stopping, async {
        world.deps.shutdown.cancelled().await;
        gate.open_all();
    });
    assert_eq!(
        world.answer(1).await?.1.completed()?.message.content,
        "finished"
    );
    Ok(())
}
