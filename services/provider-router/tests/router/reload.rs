//! Another `providers.yaml` while questions are coming in.

use anyhow::{Context, Result, ensure};
use nexus_contracts::events::{Event, InferenceCompleted};
use nexus_contracts::{channels, tables};
use nexus_provider_router::ProviderStatus;
use nexus_service_kit::envelope_of;
use nexus_testkit::openai::Script;
use nexus_testkit::wait_until;

use crate::world::{PATIENCE, World, asking, world};

/// The fake provider under this name, and the default.
fn file(world: &World, name: &str) -> String {
    let base_url = world.fake.base_url();
    format!("providers: {{{name}: {{type: openai, base_url: \"{base_url}\", model: m}}}}")
}

async fn names(world: &World) -> Result<Vec<String>> {
    let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
    let rows = rows.iter().map(|row| serde_json::from_slice(&row.value));
    let rows: Vec<ProviderStatus> = rows.collect::<Result<_, _>>()?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Who answered, in order.
async fn answered_by(world: &World, count: usize) -> Result<Vec<String>> {
    let entries = world.results(count).await?;
    let by = entries.iter().map(|entry| {
        let envelope = envelope_of(entry, channels::INFERENCE_RESPONSE)?;
        ensure!(
            envelope.event_type == InferenceCompleted::TYPE,
            "failed: {}",
            envelope.payload_json()?
        );
        Ok(envelope.decode::<InferenceCompleted>()?.provider)
    });
    by.collect()
}

#[tokio::test]
async fn the_provider_changes_under_load_and_no_question_fails() -> Result<()> {
    let world = world(&[("reload_every", "5ms")]).await?;
    world.edit(&file(&world, "before"))?;
    wait_until(PATIENCE, "the first file", async || {
        Ok(names(&world).await? == ["before"])
    })
    .await?;
    // One that has begun before the change, and ends after it.
    let (script, gate) = Script::text("late").gated();
    world.fake.push(script);
    world.publish(&asking("c0", "q", None, |_| {})?.0).await?;
    wait_until(PATIENCE, "the call", async || {
        Ok(world.fake.received().len() == 1)
    })
    .await?;
    let mut asked = 1;
    world.edit(&file(&world, "after"))?;
    // Asked without a pause until the change has been seen, and some more.
    let mut more = 20;
    while more > 0 {
        if names(&world).await? == ["after"] {
            more -= 1;
        }
        world.fake.push(Script::text("quick"));
        let question = asking(&format!("c{asked}"), "q", None, |_| {})?.0;
        world.publish(&question).await?;
        asked += 1;
    }
    gate.open_all();
    let by = answered_by(&world, asked).await?;
    ensure!(by.contains(&"before".to_owned()), "{by:?}");
    ensure!(
        by.iter().filter(|name| *name == "after").count() >= 19,
        "{by:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_broken_edit_changes_nothing() -> Result<()> {
    let world = world(&[("reload_every", "5ms")]).await?;
    world.edit("providers: {it: {type: opnai}}")?;
    // Written one by one.
    wait_until(PATIENCE, "the providers of the first file", async || {
        Ok(names(&world).await? == ["demo", "it", "keyless"])
    })
    .await?;
    world.fake.push(Script::text("as before"));
    let completed = world.ask(&asking("c1", "q", Some("it"), |_| {})?.0).await?;
    let content = completed.completed()?.message.content;
    ensure!(content == "as before", "{content}");
    world.edit(&file(&world, "mended"))?;
    wait_until(PATIENCE, "the mended file", async || {
        Ok(names(&world).await? == ["mended"])
    })
    .await
    .context("a broken file must not keep the next one away")
}
