//! Texts that become vectors here.

use anyhow::{Context, Result, ensure};
use nexus_contracts::chat::Usage;
use nexus_contracts::events::{EmbeddingCompleted, EmbeddingFailed, EmbeddingRequested};
use nexus_contracts::live::Cancelled;
use nexus_contracts::{Event, Extra, RunId, channels, tables};
use nexus_testkit::wait_for;
use serde_json::json;

use super::{Act, Scripted, with_local};
use crate::vectors::{ask, made, refused, texts, usages};
use crate::world::PATIENCE;

pub(super) fn embedded(embeddings: Vec<Vec<f32>>) -> EmbeddingCompleted {
    EmbeddingCompleted {
        embeddings,
        usage: Usage::of(7, 0),
        provider: "local".to_owned(),
        model: "tiny".to_owned(),
        extra: Extra::from([("metadata".to_owned(), json!({"gpu_seconds": 0.5}))]),
    }
}

pub(super) fn failed(code: &str) -> EmbeddingFailed {
    EmbeddingFailed {
        code: code.to_owned(),
        detail: format!("it is {code}"),
        retryable: code == "provider_failed",
        provider: None,
        extra: Extra::new(),
    }
}

#[tokio::test]
async fn a_worker_makes_them() -> Result<()> {
    let world = with_local().await?;
    let worker = Scripted::start(&world, &[&[Act::Embed(2, &[0.5, -1.0])]]).await?;
    let command = texts("c1", &["one", "two"], Some("local"))?;
    let made = made(&ask(&world, &command, 1).await?)?;
    ensure!(made.embeddings == [[0.5, -1.0], [0.5, -1.0]], "{made:?}");
    ensure!((made.provider.as_str(), made.model.as_str()) == ("local", "tiny"));
    ensure!(made.extra.get("metadata") == Some(&json!({"gpu_seconds": 0.5})));
    let usages = usages(&world, 1).await?;
    let (_, usage) = usages.first().context("what it took")?;
    ensure!(usage.usage.input_tokens == 7 && usage.extra.contains_key("operation"));

    let asked = worker.asked();
    let [sent] = asked.as_slice() else {
        anyhow::bail!("{} commands", asked.len());
    };
    ensure!(sent.event_type == EmbeddingRequested::TYPE && sent.id != command.id);
    ensure!(sent.metadata.causation_id.as_ref() == Some(&command.id));
    ensure!(sent.metadata.org_id == command.metadata.org_id && sent.metadata.deadline.is_some());
    let sent: EmbeddingRequested = sent.decode()?;
    ensure!(
        sent.input == ["one", "two"] && sent.model.is_none(),
        "{sent:?}"
    );
    Ok(())
}

#[tokio::test]
async fn failures_and_what_was_not_asked_for_go_to_the_next() -> Result<()> {
    let world = with_local().await?;
    let vectors: &[f32] = &[1.0];
    let scripts = [
        Act::Fail("unsupported"),
        Act::Fail("poisoned"),
        Act::Embed(1, vectors),
        Act::Embed(2, &[f32::NAN]),
        // An answer to what nobody asked.
        Act::Answer("Hi"),
    ];
    let scripts = scripts.map(|act| [act]);
    let scripts: Vec<&[Act]> = scripts.iter().map(<[Act; 1]>::as_slice).collect();
    Scripted::start(&world, &scripts).await?;
    let codes = ["unsupported"].into_iter().chain(["provider_failed"; 4]);
    for (place, code) in (1..).zip(codes) {
        let command = texts(&format!("c{place}"), &["one", "two"], Some("chain"))?;
        let made = made(&ask(&world, &command, place).await?)?;
        ensure!(made.provider == "it", "{made:?}");
        let attempts = made.extra.get("attempts").context("who failed")?;
        ensure!(attempts[0]["code"] == code, "{place}: {attempts}");
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_falls_silent_is_told_to_stop() -> Result<()> {
    let world = with_local().await?;
    let worker = Scripted::start(&world, &[&[Act::Say("a sign"), Act::Hang]]).await?;
    let command = texts("c1", &["one"], Some("chain"))?;
    let made = made(&ask(&world, &command, 1).await?)?;
    ensure!(made.provider == "it", "{made:?}");
    let asked = worker.asked();
    let sent = asked.first().context("a command")?;
    let org = sent.metadata.org_id.context("an organisation")?;
    let call = RunId::of(org, channels::INFERENCE_LOCAL, &sent.id).to_string();
    let bus = &world.deps.bus;
    let told = async || Ok(bus.table_get(tables::RUNS_CANCELLED, &call).await?);
    let entry = wait_for(PATIENCE, "the cancellation", told).await?;
    let cancelled: Cancelled = serde_json::from_slice(&entry.value)?;
    ensure!(
        Some(cancelled.until) > sent.metadata.deadline,
        "{cancelled:?}"
    );
    Ok(())
}

#[tokio::test]
async fn without_a_worker_and_alone_they_can_be_asked_for_again() -> Result<()> {
    let world = with_local().await?;
    let command = texts("c1", &["one"], Some("local"))?;
    let failed = refused(&ask(&world, &command, 1).await?)?;
    ensure!(
        failed.code == "provider_unreachable" && failed.retryable,
        "{failed:?}"
    );
    Scripted::start(&world, &[&[Act::Embed(1, &[1.0])]]).await?;
    made(&ask(&world, &command, 2).await?)?;
    Ok(())
}
