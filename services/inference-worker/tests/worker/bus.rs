//! Commands in, results out, over a bus and a ledger in a real database.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use nexus_bus::{BusUrl, LiveItem};
use nexus_contracts::Envelope;
use nexus_contracts::channels::INFERENCE_LOCAL;
use nexus_contracts::chat::FinishReason;
use nexus_contracts::events::{
    EmbeddingCompleted, EmbeddingRequested, InferenceCompleted, InferenceRequested,
};
use nexus_contracts::live::LiveEvent;
use nexus_contracts::settings::Privacy;
use nexus_service_kit::{RequestTiming, request};
use nexus_testkit::wait_for;
use serde_json::Value;

use crate::desk::{asking, call, command, start, world, world_on};
use crate::world::{PATIENCE, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_answered_and_a_repetition_gets_the_same() -> Result<()> {
    let world = world().await?;
    let command = asking("c1", "Hi", None)?;
    world.publish(&command).await?;
    let heard = world
        .heard(&command, "Hello from the scripted model.".len())
        .await?;
    assert_eq!(heard, "Hello from the scripted model.");
    let answer = world.completed(&command).await?;
    assert_eq!(answer.message.content, heard);
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(
        (answer.provider.as_str(), answer.model.as_str()),
        ("gpu", "script")
    );
    assert_eq!(answer.usage.output_tokens, 6);
    assert_eq!(answer.metadata["device"], "cpu");
    assert!(
        answer.metadata["compute_seconds"]
            .as_f64()
            .is_some_and(|spent| spent > 0.0)
    );
    world.publish(&command).await?;
    let both = wait_for(PATIENCE, "the repetition", async || {
        let results = world.results().await?;
        Ok((results.len() == 2).then_some(results))
    })
    .await?;
    assert_eq!(both[0], both[1]);
    assert_eq!(both[0].id, command.id.result("inference"));
    assert_eq!(both[0].metadata.run_id, command.metadata.run_id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_command_is_heard_by_nobody() -> Result<()> {
    let world = world().await?;
    let mut command = asking("c1", "Hi", None)?;
    let mut asked: InferenceRequested = command.decode()?;
    asked.quiet = true;
    command.payload = Envelope::new(command.id.clone(), world.deps.clock.now(), &asked)?.payload;
    world.publish(&command).await?;
    world.completed(&command).await?;
    // Whatever was said would be before this.
    let topic = call(&command)?.live_topic();
    nexus_service_kit::report(
        &world.deps.bus,
        call(&command)?,
        &LiveEvent::Status {
            step: 3,
            status: "the end".to_owned(),
        },
    )
    .await;
    let mut items = world.deps.bus.live_subscribe(&topic, 0).await?;
    let first = soon("the end", items.next()).await?.context("live ended")?;
    let LiveItem::Entry { data, .. } = first else {
        anyhow::bail!("{first:?}");
    };
    assert_eq!(serde_json::from_slice::<Value>(&data)?["kind"], "status");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_or_call_ends_its_answer() -> Result<()> {
    let world = world().await?;
    let commands = [asking("c1", "LOOP", None)?, asking("c2", "LOOP", None)?];
    let runs = [
        commands[0].metadata.run_id.context("a run")?,
        call(&commands[1])?,
    ];
    for (command, run) in commands.iter().zip(runs) {
        world.publish(command).await?;
        world.heard(command, 20).await?;
        world.cancel(run).await?;
        let failed = world.failed(command).await?;
        assert_eq!(
            (failed.code.as_str(), failed.retryable),
            ("cancelled", false)
        );
    }
    // The model is free again.
    let next = asking("c3", "Hi", None)?;
    world.publish(&next).await?;
    world.completed(&next).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_model_lets_others_work_and_goes_on_when_it_can() -> Result<()> {
    let world = world().await?;
    let long = asking("long", "LOOP", Some("script"))?;
    world.publish(&long).await?;
    world.heard(&long, 20).await?;
    let behind = asking("behind", "Hi", Some("script"))?;
    world.publish(&behind).await?;
    // As many as there are permits: were each of them to hold one, nothing else would be taken.
    let others = ["a", "b", "c", "d"].map(|id| asking(id, "Hi", Some("other")));
    for other in others {
        let other = other?;
        world.publish(&other).await?;
        assert_eq!(world.completed(&other).await?.model, "other");
    }
    let results = world.results().await?;
    assert!(
        !results
            .iter()
            .any(|result| result.metadata.causation_id.as_ref() == Some(&behind.id))
    );
    world.cancel(call(&long)?).await?;
    assert_eq!(world.failed(&long).await?.code, "cancelled");
    assert_eq!(world.completed(&behind).await?.model, "script");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_has_a_code() -> Result<()> {
    let world = world().await?;
    let unknown = asking("c1", "Hi", Some("scripts"))?;
    let other_kind = asking("c2", "Hi", Some("vectors"))?;
    let mut late = asking("c3", "Hi", None)?;
    late.metadata.deadline = Some(world.deps.clock.now().plus_millis(-1));
    let mut nobodys = asking("c4", "Hi", None)?;
    nobodys.metadata.org_id = None;
    for (command, code) in [
        (&unknown, "unknown_model"),
        (&other_kind, "unsupported"),
        (&late, "deadline_exceeded"),
        (&nobodys, "bad_request"),
    ] {
        world.publish(command).await?;
        let failed = world.failed(command).await?;
        assert_eq!((failed.code.as_str(), failed.retryable), (code, false));
    }
    let detail = world.failed(&unknown).await?.detail;
    for word in ["`other`, `script`, `vectors`", "did you mean `script`?"] {
        assert!(detail.contains(word), "{detail}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_finished_within_the_grace() -> Result<()> {
    let world = world().await?;
    let mut command = asking("c1", "LOOP", None)?;
    let mut asked: InferenceRequested = command.decode()?;
    asked.parameters.max_tokens = Some(300);
    command.payload = Envelope::new(command.id.clone(), world.deps.clock.now(), &asked)?.payload;
    world.publish(&command).await?;
    world.heard(&command, 20).await?;
    world.deps.stop(PATIENCE).await;
    let answer = world.completed(&command).await?;
    assert_eq!(answer.finish_reason, FinishReason::Length);
    assert_eq!(answer.usage.output_tokens, 300);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_finish_is_another_workers() -> Result<()> {
    let mut world = world().await?;
    world.config.lease = Duration::from_secs(1);
    let first = start(world.deps.bus.clone(), &world.config, &world.folder).await?;
    // The one with the long lease makes way for the one with the short lease.
    world.deps.stop(PATIENCE).await;
    world.deps = first;
    world.ready().await?;
    let command = asking("c1", "LOOP", None)?;
    world.publish(&command).await?;
    world.heard(&command, 20).await?;
    world.deps.stop(Duration::ZERO).await;
    assert!(world.results().await?.is_empty());
    world.cancel(call(&command)?).await?;
    world.deps = start(world.deps.bus.clone(), &world.config, &world.folder).await?;
    assert_eq!(world.failed(&command).await?.code, "cancelled");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_and_answers_come_live_over_redis() -> Result<()> {
    let redis = nexus_testkit::redis().await?;
    let world = world_on(BusUrl::Redis(redis.url()), tempfile::tempdir()?).await?;
    let (bus, clock) = (&world.deps.bus, &world.deps.clock);
    let timing = RequestTiming {
        deadline: PATIENCE,
        ..RequestTiming::default()
    };
    let ask = async |command: &Envelope| {
        request(bus, clock, INFERENCE_LOCAL, command.clone(), timing).await
    };
    let command_of_words = asking("c1", "Hi", None)?;
    let answer: InferenceCompleted = ask(&command_of_words).await?.decode()?;
    assert_eq!(answer.message.content, "Hello from the scripted model.");
    let asked = EmbeddingRequested {
        input: vec!["a cat".to_owned(), "a dog".to_owned()],
        provider: None,
        model: None,
        dimensions: None,
        privacy: Privacy::Open,
        extra: BTreeMap::new(),
    };
    let answer: EmbeddingCompleted = ask(&command("v1", &asked)?).await?.decode()?;
    assert_eq!(answer.embeddings.len(), 2);
    assert_eq!(
        (answer.model.as_str(), answer.usage.input_tokens),
        ("vectors", 10)
    );
    let narrow = EmbeddingRequested {
        dimensions: Some(3),
        ..asked
    };
    let failed = ask(&command("v2", &narrow)?).await?;
    assert_eq!(failed.event_type, "embedding.failed");
    assert_eq!(failed.payload_json()?["code"], "unsupported");
    Ok(())
}
