//! A bus, a store, and tools whose effects a test can see and hold back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nexus_bus::{Bus, BusConfig, BusUrl, Entry, ReadFrom};
use nexus_contracts::events::{Event, ToolCompleted, ToolFailed, ToolRequested};
use nexus_contracts::live::Cancelled;
use nexus_contracts::tables;
use nexus_contracts::{
    ConversationId, CorrelationId, Envelope, MessageId, Metadata, OrgId, RunId, channels,
};
use nexus_service_kit::{Clock, ConfigSource, Deps, Stores, envelope_of, outgoing, put_table};
use nexus_store::EffectClass;
use nexus_testkit::{PgServer, wait_for};
use nexus_tool_executor::registry::catalogue;
use nexus_tool_executor::{
    AnyTool, DEFAULT_CONFIG, NAME, Parts, Tool, ToolContext, ToolError, service_with,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// How long anything may take in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a test sees of its tools, and how it lets them go on.
#[derive(Clone)]
pub(crate) struct Stage {
    /// How often the effect happened.
    pub(crate) effects: Arc<AtomicUsize>,
    /// How many calls were dropped before they ended.
    pub(crate) dropped: Arc<AtomicUsize>,
    /// A permit lets one call end.
    pub(crate) gate: Arc<Semaphore>,
}

impl Stage {
    fn new() -> Self {
        let gate = Arc::new(Semaphore::new(0));
        Self {
            effects: Arc::default(),
            dropped: Arc::default(),
            gate,
        }
    }

    pub(crate) fn effects(&self) -> usize {
        self.effects.load(Ordering::SeqCst)
    }

    async fn perform(&self) -> Result<Value, ToolError> {
        self.effects.fetch_add(1, Ordering::SeqCst);
        let mut guard = CountDrop {
            dropped: Arc::clone(&self.dropped),
            ended: false,
        };
        let permit = self.gate.acquire().await;
        permit
            .map_err(|error| ToolError::Failed(error.to_string()))?
            .forget();
        guard.ended = true;
        Ok(json!({ "effects": self.effects() }))
    }
}

struct CountDrop {
    dropped: Arc<AtomicUsize>,
    ended: bool,
}

impl Drop for CountDrop {
    fn drop(&mut self) {
        if !self.ended {
            self.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// No arguments.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

macro_rules! staged {
    ($tool:ident, $name:literal, $effect:expr) => {
        struct $tool(Stage);

        impl Tool for $tool {
            const NAME: &'static str = $name;
            const DESCRIPTION: &'static str = "Has an effect a test can count and hold back.";
            const EFFECT: EffectClass = $effect;
            type Args = Nothing;
            type Output = Value;

            async fn call(&self, _: Nothing, _: &ToolContext) -> Result<Value, ToolError> {
                self.0.perform().await
            }
        }
    };
}

staged!(Gated, "gated", EffectClass::Idempotent);
staged!(Once, "once", EffectClass::AtMostOnce);

struct Panics;

impl Tool for Panics {
    const NAME: &'static str = "panics";
    const DESCRIPTION: &'static str = "Breaks.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    type Args = Nothing;
    type Output = Value;

    #[expect(clippy::panic, reason = "this is what it is for")]
    async fn call(&self, _: Nothing, _: &ToolContext) -> Result<Value, ToolError> {
        panic!("as told")
    }
}

/// Says a lot.
struct Long;

/// How much to say.
#[derive(Deserialize, JsonSchema)]
struct Letters {
    /// How many letters.
    count: usize,
}

impl Tool for Long {
    const NAME: &'static str = "long";
    const DESCRIPTION: &'static str = "Says a lot, every line of it another.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    const OUTPUT_LIMIT: Option<u64> = Some(1000);
    type Args = Letters;
    type Output = String;

    async fn call(&self, args: Letters, _: &ToolContext) -> Result<String, ToolError> {
        let lines = (0..).map(|line| format!("line {line}\n"));
        let mut text: String = lines.take(args.count / 6 + 1).collect();
        text.truncate(args.count);
        Ok(text)
    }
}

/// Depends on something that is not there.
struct Away;

impl Tool for Away {
    const NAME: &'static str = "away";
    const DESCRIPTION: &'static str = "Depends on something that does not answer.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    type Args = Nothing;
    type Output = Value;

    async fn call(&self, _: Nothing, _: &ToolContext) -> Result<Value, ToolError> {
        Err(ToolError::Unavailable("nobody is there".to_owned()))
    }
}

/// Where everything of one test is kept; outlives the workers.
pub(crate) struct World {
    pub(crate) bus: Bus,
    pub(crate) stage: Stage,
    pub(crate) org: OrgId,
    pub(crate) store: String,
    _folder: TempDir,
    _server: Option<PgServer>,
}

/// Each test on SQLite and on PostgreSQL.
macro_rules! on_every_database {
    ($(async fn $name:ident($world:ident: World) -> Result<()> $body:block)*) => {
        $(
            #[cfg(test)]
            mod $name {
                use super::*;

                async fn body($world: World) -> Result<()> $body

                #[tokio::test]
                async fn sqlite() -> Result<()> {
                    body(World::new().await?).await
                }

                #[tokio::test]
                async fn postgres() -> Result<()> {
                    body(World::on_postgres().await?).await
                }
            }
        )*
    };
}
pub(crate) use on_every_database;

impl World {
    /// On `SQLite`.
    pub(crate) async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = format!("sqlite:{}", folder.path().join("store").display());
        Self::on(folder, store, None).await
    }

    pub(crate) async fn on_postgres() -> Result<Self> {
        let server = nexus_testkit::postgres().await?;
        let store = server.fresh_database().await?;
        Self::on(tempfile::tempdir()?, store, Some(server)).await
    }

    async fn on(folder: TempDir, store: String, server: Option<PgServer>) -> Result<Self> {
        let path = folder.path().join("bus.db");
        let url = BusUrl::Embedded {
            path,
            read_only: false,
        };
        let bus = Bus::connect(&BusConfig::new(url, folder.path().join("blobs"))).await?;
        let org = OrgId(Clock::system().new_id());
        Ok(Self {
            bus,
            stage: Stage::new(),
            org,
            store,
            _folder: folder,
            _server: server,
        })
    }

    /// A worker with these settings.
    pub(crate) async fn worker(&self, settings: &[(&str, &str)]) -> Result<Deps> {
        let stores = Stores::new(&self.store)?;
        let deps = Deps::new(self.bus.clone(), Clock::system(), stores);
        let stage = self.stage.clone();
        let tools = move |parts: &Parts| {
            let mut tools = catalogue(parts);
            let own: [Arc<dyn AnyTool>; 5] = [
                Arc::new(Gated(stage.clone())),
                Arc::new(Once(stage.clone())),
                Arc::new(Panics),
                Arc::new(Long),
                Arc::new(Away),
            ];
            tools.extend(own);
            tools
        };
        let full = |(key, value): &(&str, &str)| (format!("{NAME}.{key}"), (*value).to_owned());
        let overrides: Vec<_> = settings.iter().map(full).collect();
        let source = ConfigSource::of_layers(None, [], &overrides)?;
        let started = service_with(source.section(NAME, DEFAULT_CONFIG)?, tools)
            .start(&deps)
            .await?;
        let consumes = [channels::TOOLS_EXECUTE, channels::CONVERSATIONS];
        anyhow::ensure!(started.consumes == consumes);
        Ok(deps)
    }

    /// A person has cancelled the run of a command.
    pub(crate) async fn cancel(&self, command: &Envelope) -> Result<()> {
        let now = Clock::system().now();
        let cancelled = Cancelled {
            at: now,
            until: now.plus_millis(60_000),
        };
        let run = command.metadata.run_id.context("a command of a run")?;
        let run = run.to_string();
        put_table(&self.bus, tables::RUNS_CANCELLED, &run, &cancelled).await?;
        Ok(())
    }

    /// A command of a run of its own, due in a minute.
    pub(crate) fn command(&self, id: &str, tool: &str, arguments: &str) -> Result<Envelope> {
        let id = MessageId::new(id)?;
        let request = ToolRequested {
            call_id: format!("call-{id}"),
            name: tool.to_owned(),
            arguments: arguments.to_owned(),
            ..ToolRequested::default()
        };
        let now = Clock::system().now();
        let run = RunId::of(self.org, "test", &id);
        let metadata = Metadata {
            org_id: Some(self.org),
            run_id: Some(run),
            conversation_id: Some(ConversationId::opened_by(run)),
            step: Some(2),
            deadline: Some(now.plus_millis(60_000)),
            causation_id: Some(MessageId::new("cause")?),
            ..Metadata::default()
        };
        let envelope = Envelope::new(id, now, &request)?;
        Ok(envelope
            .correlated(Some(CorrelationId::new("corr")?))
            .with_metadata(metadata))
    }

    pub(crate) async fn send(&self, command: &Envelope) -> Result<()> {
        self.bus
            .publish(vec![outgoing(channels::TOOLS_EXECUTE, command)])
            .await?;
        Ok(())
    }

    /// The first `count` results, once there are so many.
    pub(crate) async fn results(&self, count: usize) -> Result<Vec<Envelope>> {
        let entries = wait_for(PATIENCE, "results", async || {
            let entries = self.entries(channels::TOOLS_RESULTS).await?;
            Ok((entries.len() >= count).then_some(entries))
        });
        let envelope = |entry: &Entry| Ok(envelope_of(entry, channels::TOOLS_RESULTS)?);
        entries.await?.iter().map(envelope).collect()
    }

    pub(crate) async fn entries(&self, channel: &str) -> Result<Vec<Entry>> {
        Ok(self.bus.read(channel, ReadFrom::Start, 1000).await?)
    }

    /// Sends a command and gives its result.
    pub(crate) async fn ask(&self, command: &Envelope) -> Result<Envelope> {
        self.send(command).await?;
        wait_for(PATIENCE, "the result", async || {
            let entries = self.entries(channels::TOOLS_RESULTS).await?;
            for entry in &entries {
                let envelope = envelope_of(entry, channels::TOOLS_RESULTS)?;
                if envelope.metadata.causation_id.as_ref() == Some(&command.id) {
                    return Ok(Some(envelope));
                }
            }
            Ok(None)
        })
        .await
    }

    pub(crate) async fn effects(&self, count: usize) -> Result<()> {
        nexus_testkit::wait_until(PATIENCE, "the effect", async || {
            Ok(self.stage.effects() >= count)
        })
        .await
    }
}

pub(crate) fn completed(envelope: &Envelope) -> Result<ToolCompleted> {
    if envelope.event_type != ToolCompleted::TYPE {
        bail!("not completed: {}", envelope.payload_json()?);
    }
    envelope.decode().context("it reads as tool.completed")
}

pub(crate) fn failed(envelope: &Envelope) -> Result<ToolFailed> {
    if envelope.event_type != ToolFailed::TYPE {
        bail!("not failed: {}", envelope.payload_json()?);
    }
    envelope.decode().context("it reads as tool.failed")
}

/// A worker that disappears: nothing of it finishes.
pub(crate) async fn kill(deps: Deps) {
    deps.stop(Duration::ZERO).await;
}
