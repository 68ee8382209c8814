//! What tests that need a whole router share.

use anyhow::{Result, bail};
use nexus_bus::ReadFrom;
use nexus_contracts::events::{Event, InferenceCompleted, UsageRecorded};
use nexus_contracts::{Envelope, channels, tables};
use nexus_provider_router::ProviderStatus;
use nexus_service_kit::envelope_of;
use nexus_testkit::{wait_for, wait_until};

use crate::world::{Answer, PATIENCE, World};

/// What the router says of its providers.
pub(crate) async fn statuses(world: &World) -> Result<Vec<ProviderStatus>> {
    let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
    let rows = rows.iter().map(|row| serde_json::from_slice(&row.value));
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The names of its providers, in order.
pub(crate) async fn names(world: &World) -> Result<Vec<String>> {
    let statuses = statuses(world).await?;
    let mut names: Vec<String> = statuses.into_iter().map(|one| one.name).collect();
    names.sort();
    Ok(names)
}

/// Edits `providers.yaml` and waits until the router has exactly these providers.
pub(crate) async fn take_up(world: &World, file: &str, expected: &[&str]) -> Result<()> {
    world.edit(file)?;
    let what = format!("the providers {expected:?}");
    wait_until(
        PATIENCE,
        &what,
        async || Ok(names(world).await? == expected),
    )
    .await
}

/// Edits `providers.yaml` and waits until `it` has this model.
pub(crate) async fn take_up_model(world: &World, file: &str, model: &str) -> Result<()> {
    world.edit(file)?;
    has_model(world, model).await
}

/// Waits until `it` is known to have this model.
pub(crate) async fn has_model(world: &World, model: &str) -> Result<()> {
    wait_until(PATIENCE, &format!("the model {model}"), async || {
        let statuses = statuses(world).await?;
        let mut models = statuses
            .iter()
            .filter(|one| one.name == "it")
            .flat_map(|one| &one.models);
        Ok(models.any(|one| one == model))
    })
    .await
}

/// What answers this command, whichever was answered first.
pub(crate) async fn reply_to(world: &World, command: &Envelope) -> Result<Answer> {
    let id = command.id.result("inference");
    let what = format!("the answer to {}", command.id);
    wait_for(PATIENCE, &what, async || {
        for entry in world.all_results().await? {
            let envelope = envelope_of(&entry, channels::INFERENCE_RESPONSE)?;
            if envelope.id == id {
                return Ok(Some(match envelope.event_type.as_str() {
                    InferenceCompleted::TYPE => Answer::Completed(envelope.decode()?),
                    _ => Answer::Failed(envelope.decode()?),
                }));
            }
        }
        anyhow::Ok(None)
    })
    .await
}

/// How the attempts at this command ended, in order, once there are as many.
pub(crate) async fn outcomes(
    world: &World,
    command: &Envelope,
    count: usize,
) -> Result<Vec<String>> {
    let read = async || {
        let bus = &world.deps.bus;
        let entries = bus.read(channels::USAGE, ReadFrom::Start, 1000).await?;
        let mut outcomes = Vec::new();
        for entry in &entries {
            let envelope = envelope_of(entry, channels::USAGE)?;
            if envelope.metadata.causation_id.as_ref() == Some(&command.id) {
                outcomes.push(envelope.decode::<UsageRecorded>()?.outcome);
            }
        }
        anyhow::Ok((outcomes.len() >= count).then_some(outcomes))
    };
    let outcomes = wait_for(PATIENCE, "what the attempts took", read).await?;
    if outcomes.len() > count {
        bail!(
            "{} attempts instead of {count}: {outcomes:?}",
            outcomes.len()
        );
    }
    Ok(outcomes)
}
