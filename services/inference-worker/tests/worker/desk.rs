//! A worker on a bus of its own, and commands for it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures::StreamExt;
use nexus_bus::{Bus, BusConfig, BusUrl, LiveItem, ReadFrom};
use nexus_contracts::channels::{INFERENCE_LOCAL, INFERENCE_LOCAL_RESULTS};
use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::{Event, InferenceCompleted, InferenceFailed, InferenceRequested};
use nexus_contracts::live::{Cancelled, LiveEvent};
use nexus_contracts::{Envelope, MessageId, Metadata, OrgId, RunId, tables};
use nexus_inference_worker::config::ModelConfig;
use nexus_inference_worker::{Config, DEFAULT_CONFIG, NAME, service};
use nexus_service_kit::{Clock, ConfigSource, Deps, Stores, envelope_of, outgoing, put_table};
use nexus_testkit::{wait_for, wait_until};
use serde_json::json;
use tempfile::TempDir;

use crate::world::{PATIENCE, Shelf, soon};

pub(crate) struct World {
    pub(crate) deps: Deps,
    pub(crate) config: Config,
    pub(crate) folder: TempDir,
    _shelf: Shelf,
}

/// A worker with the scripted model `script`, a second one `other` like it, and one for vectors.
pub(crate) async fn world() -> Result<World> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bus.db");
    let url = BusUrl::Embedded {
        path,
        read_only: false,
    };
    world_on(url, folder).await
}

pub(crate) async fn world_on(url: BusUrl, folder: TempDir) -> Result<World> {
    nexus_service_kit::telemetry::install_tls();
    let bus = Bus::connect(&BusConfig::new(url, folder.path().join("blobs"))).await?;
    let shelf = Shelf::new()?;
    let overrides = [
        (format!("{NAME}.busy_pause"), "20ms".to_owned()),
        (format!("{NAME}.default_model"), "script".to_owned()),
    ];
    let mut config: Config =
        ConfigSource::of_layers(None, [], &overrides)?.section(NAME, DEFAULT_CONFIG)?;
    let script = ModelConfig {
        max_tokens: serde_json::from_value(json!(4000))?,
        ..shelf.scripted()?
    };
    config.models = BTreeMap::from([
        ("other".to_owned(), script.clone()),
        ("script".to_owned(), script),
        ("vectors".to_owned(), shelf.embedding()?),
    ]);
    let deps = start(bus, &config, &folder).await?;
    let world = World {
        deps,
        config,
        folder,
        _shelf: shelf,
    };
    world.ready().await?;
    Ok(world)
}

pub(crate) async fn start(bus: Bus, config: &Config, folder: &TempDir) -> Result<Deps> {
    let stores = Stores::new(&format!("sqlite:{}", folder.path().display()))?;
    let deps = Deps::new(bus, Clock::system(), stores);
    let started = service(config.clone()).start(&deps).await?;
    // On a CPU each model takes one at a time.
    assert_eq!(started.permits, config.models.len());
    assert!(!deps.health.is_ready(), "ready without its models");
    Ok(deps)
}

pub(crate) fn asking(id: &str, text: &str, model: Option<&str>) -> Result<Envelope> {
    let asked: InferenceRequested = serde_json::from_value(json!({
        "messages": [ChatMessage::text(Role::User, text)], "provider": "gpu", "model": model,
    }))?;
    command(id, &asked)
}

pub(crate) fn command<E: Event>(id: &str, asked: &E) -> Result<Envelope> {
    let clock = Clock::system();
    let (org, id) = (OrgId(clock.new_id()), MessageId::new(id)?);
    let metadata = Metadata {
        org_id: Some(org),
        run_id: Some(RunId::of(org, "test", &id)),
        step: Some(3),
        causation_id: Some(MessageId::new("of-the-router")?),
        ..Metadata::default()
    };
    Ok(Envelope::new(id, clock.now(), asked)?.with_metadata(metadata))
}

/// The run a call is itself.
pub(crate) fn call(command: &Envelope) -> Result<RunId> {
    let org = command.metadata.org_id.context("an organisation")?;
    Ok(RunId::of(org, "inference.local", &command.id))
}

impl World {
    pub(crate) async fn ready(&self) -> Result<()> {
        wait_until(PATIENCE, "the models", async || {
            anyhow::ensure!(self.deps.tasks.failure().is_none(), "the node ended");
            Ok(self.deps.health.is_ready())
        })
        .await
    }

    pub(crate) async fn publish(&self, command: &Envelope) -> Result<()> {
        let record = outgoing(INFERENCE_LOCAL, command);
        self.deps.bus.publish(vec![record]).await?;
        Ok(())
    }

    pub(crate) async fn results(&self) -> Result<Vec<Envelope>> {
        let channel = INFERENCE_LOCAL_RESULTS;
        let entries = self.deps.bus.read(channel, ReadFrom::Start, 100).await?;
        entries
            .iter()
            .map(|entry| Ok(envelope_of(entry, channel)?))
            .collect()
    }

    /// The first result of this command.
    pub(crate) async fn result(&self, command: &Envelope) -> Result<Envelope> {
        wait_for(PATIENCE, "a result", async || {
            let of = |result: &Envelope| result.metadata.causation_id.as_ref() == Some(&command.id);
            Ok(self.results().await?.into_iter().find(of))
        })
        .await
    }

    pub(crate) async fn completed(&self, command: &Envelope) -> Result<InferenceCompleted> {
        let result = self.result(command).await?;
        anyhow::ensure!(result.event_type == InferenceCompleted::TYPE, "{result:?}");
        Ok(result.decode()?)
    }

    pub(crate) async fn failed(&self, command: &Envelope) -> Result<InferenceFailed> {
        Ok(self.result(command).await?.decode()?)
    }

    pub(crate) async fn cancel(&self, run: RunId) -> Result<()> {
        let at = self.deps.clock.now();
        let cancelled = Cancelled {
            at,
            until: at.plus_millis(60_000),
        };
        let (bus, run) = (&self.deps.bus, run.to_string());
        Ok(put_table(bus, tables::RUNS_CANCELLED, &run, &cancelled).await?)
    }

    /// Waits until somebody who listens to this call has heard that much.
    pub(crate) async fn heard(&self, command: &Envelope, least: usize) -> Result<String> {
        let topic = call(command)?.live_topic();
        let mut items = self.deps.bus.live_subscribe(&topic, 0).await?;
        let mut shown = String::new();
        let listening = async {
            while shown.len() < least {
                let LiveItem::Entry { data, .. } = items.next().await.context("live ended")? else {
                    continue;
                };
                match serde_json::from_slice(&data)? {
                    LiveEvent::Delta { step: 3, text } => shown.push_str(&text),
                    LiveEvent::Snapshot { step: 3, text } => shown = text,
                    other => anyhow::bail!("{other:?}"),
                }
            }
            Ok(())
        };
        soon("words", listening).await??;
        Ok(shown)
    }
}
