//! A provider router on a bus of its own, with a fake provider beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use nexus_bus::{Bus, BusConfig, BusUrl, Entry, LiveItem, ReadFrom};
use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::{
    Event, InferenceCompleted, InferenceFailed, InferenceRequested, ModelParameters,
};
use nexus_contracts::live::LiveEvent;
use nexus_contracts::{
    ConversationId, CorrelationId, Envelope, MessageId, Metadata, OrgId, RunId, channels,
};
use nexus_provider_router::{Config, DEFAULT_CONFIG, NAME, service};
use nexus_service_kit::{Clock, ConfigSource, Deps, Stores, envelope_of, outgoing};
use nexus_testkit::openai::FakeOpenAi;
use nexus_testkit::{PgServer, wait_for};
use tempfile::TempDir;

/// Long enough for a busy machine; nothing waits this long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Must never show up anywhere.
pub(crate) const CANARY: &str = "sk-canary-0123456789";

pub(crate) struct World {
    pub(crate) deps: Deps,
    pub(crate) fake: FakeOpenAi,
    config: Config,
    database: Database,
    folder: TempDir,
}

/// Where results are kept.
pub(crate) struct Database {
    pub(crate) url: String,
    _folder: Option<TempDir>,
    _server: Option<PgServer>,
}

impl Database {
    pub(crate) fn sqlite() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self {
            url: format!("sqlite:{}", folder.path().display()),
            _folder: Some(folder),
            _server: None,
        })
    }

    pub(crate) async fn postgres() -> Result<Self> {
        let server = nexus_testkit::postgres().await?;
        Ok(Self {
            url: server.fresh_database().await?,
            _folder: None,
            _server: Some(server),
        })
    }
}

/// Each test on SQLite and on PostgreSQL.
macro_rules! on_every_database {
    ($(async fn $name:ident($database:ident: Database) -> Result<()> $body:block)*) => {
        $(
            #[cfg(test)]
            mod $name {
                use super::*;

                async fn body($database: Database) -> Result<()> $body

                #[tokio::test]
                async fn sqlite() -> Result<()> {
                    body(Database::sqlite()?).await
                }

                #[tokio::test]
                async fn postgres() -> Result<()> {
                    body(Database::postgres().await?).await
                }
            }
        )*
    };
}
pub(crate) use on_every_database;

/// What answered a command.
#[derive(Debug)]
pub(crate) enum Answer {
    Completed(InferenceCompleted),
    Failed(InferenceFailed),
}

impl Answer {
    pub(crate) fn completed(self) -> Result<InferenceCompleted> {
        match self {
            Self::Completed(completed) => Ok(completed),
            Self::Failed(failed) => anyhow::bail!("failed: {failed:?}"),
        }
    }

    pub(crate) fn failed(self) -> Result<InferenceFailed> {
        match self {
            Self::Failed(failed) => Ok(failed),
            Self::Completed(completed) => anyhow::bail!("completed: {completed:?}"),
        }
    }
}

/// Starts a router that knows `demo`, `it` (the fake one) and `keyless`.
pub(crate) async fn world(settings: &[(&str, &str)]) -> Result<World> {
    world_on(Database::sqlite()?, settings).await
}

/// The same with its results kept there.
pub(crate) async fn world_on(database: Database, settings: &[(&str, &str)]) -> Result<World> {
    nexus_service_kit::telemetry::install_tls();
    let folder = tempfile::tempdir()?;
    let fake = FakeOpenAi::start().await?;
    let file = folder.path().join("providers.yaml");
    let base_url = fake.base_url();
    let text = format!(
        "default: demo\nproviders:\n  demo: {{type: demo}}\n  it:\n    type: openai\n    \
         base_url: {base_url}\n    model: m\n    \
         models: [m, {{name: v, embeds: true}}]\n    headers: {{authorization: Bearer {CANARY}}}\n  \
         keyless: {{type: openai, api_key_env: NEXUS_TEST_NO_SUCH_KEY}}\n"
    );
    std::fs::write(&file, text)?;
    let bus = folder.path().join("bus.db");
    let config = BusConfig::new(
        BusUrl::Embedded {
            path: bus,
            read_only: false,
        },
        folder.path().join("blobs"),
    );
    let bus = Bus::connect(&config).await?;
    let config = settings_of(&file.display().to_string(), settings)?;
    Ok(World {
        deps: start(bus, &config, &database).await?,
        fake,
        config,
        database,
        folder,
    })
}

async fn start(bus: Bus, config: &Config, database: &Database) -> Result<Deps> {
    let deps = Deps::new(bus, Clock::system(), Stores::new(&database.url)?);
    service(config.clone()).start(&deps).await?;
    Ok(deps)
}

fn settings_of(file: &str, settings: &[(&str, &str)]) -> Result<Config> {
    let mut all = BTreeMap::from([("providers_file", file), ("retries.base", "1ms")]);
    all.extend(settings.iter().copied());
    let key = |(key, value): (&str, &str)| (format!("{NAME}.{key}"), value.to_owned());
    let overrides: Vec<_> = all.into_iter().map(key).collect();
    Ok(ConfigSource::of_layers(None, [], &overrides)?.section(NAME, DEFAULT_CONFIG)?)
}

/// A question of a run of its own, to the fake provider.
pub(crate) fn question(id: &str, text: &str) -> Result<(Envelope, RunId)> {
    asking(id, text, Some("it"), |_| {})
}

pub(crate) fn asking(
    id: &str,
    text: &str,
    provider: Option<&str>,
    change: impl FnOnce(&mut Metadata),
) -> Result<(Envelope, RunId)> {
    let asked = InferenceRequested {
        messages: vec![ChatMessage::text(Role::User, text)],
        tools: Vec::new(),
        provider: provider.map(str::to_owned),
        model: None,
        parameters: ModelParameters::default(),
        quiet: false,
        purpose: nexus_contracts::events::Purpose::Answer,
        privacy: nexus_contracts::settings::Privacy::Open,
        cache: nexus_contracts::settings::Caching::Off,
        extra: [].into(),
    };
    let clock = Clock::system();
    let (org, id) = (OrgId(clock.new_id()), MessageId::new(id)?);
    let run = RunId::of(org, "test", &id);
    let mut metadata = Metadata {
        org_id: Some(org),
        run_id: Some(run),
        step: Some(1),
        conversation_id: Some(ConversationId::opened_by(run)),
        ..Metadata::default()
    };
    change(&mut metadata);
    let envelope = Envelope::new(id, clock.now(), &asked)?
        .correlated(Some(CorrelationId::new("corr")?))
        .with_metadata(metadata);
    Ok((envelope, run))
}

/// The same question, for nobody's ears.
pub(crate) fn quiet(mut question: Envelope) -> Result<Envelope> {
    let mut asked: InferenceRequested = question.decode()?;
    asked.quiet = true;
    let same = Envelope::new(question.id.clone(), Clock::system().now(), &asked)?;
    question.payload = same.payload;
    Ok(question)
}

impl World {
    /// Writes another `providers.yaml`, as editors do: in place of the earlier one, at once.
    pub(crate) fn edit(&self, text: &str) -> Result<()> {
        let beside = self.folder.path().join("providers.yaml.new");
        std::fs::write(&beside, text)?;
        Ok(std::fs::rename(
            beside,
            self.folder.path().join("providers.yaml"),
        )?)
    }

    /// Another router beside the first one.
    pub(crate) async fn worker(&self) -> Result<Deps> {
        start(self.deps.bus.clone(), &self.config, &self.database).await
    }

    /// Says what became of conversations.
    pub(crate) async fn tell(&self, events: &[Envelope]) -> Result<()> {
        let events = events
            .iter()
            .map(|event| outgoing(channels::CONVERSATIONS, event));
        self.deps.bus.publish(events.collect()).await?;
        Ok(())
    }

    pub(crate) async fn all_results(&self) -> Result<Vec<Entry>> {
        let bus = &self.deps.bus;
        Ok(bus
            .read(channels::INFERENCE_RESPONSE, ReadFrom::Start, 1000)
            .await?)
    }

    pub(crate) async fn publish(&self, command: &Envelope) -> Result<()> {
        self.deps
            .bus
            .publish(vec![outgoing(channels::INFERENCE_REQUEST, command)])
            .await?;
        Ok(())
    }

    /// The first `count` results on the bus.
    pub(crate) async fn results(&self, count: usize) -> Result<Vec<Entry>> {
        let all = async || {
            let entries = self.all_results().await?;
            Ok((entries.len() >= count).then_some(entries))
        };
        wait_for(PATIENCE, &format!("{count} results"), all).await
    }

    /// Asks, and waits for the first result.
    pub(crate) async fn ask(&self, command: &Envelope) -> Result<Answer> {
        self.publish(command).await?;
        self.answer(1).await.map(|(_, answer)| answer)
    }

    /// The result in this place, from 1.
    pub(crate) async fn answer(&self, place: usize) -> Result<(Envelope, Answer)> {
        let entries = self.results(place).await?;
        let entry = entries.get(place - 1).context("a result")?;
        let envelope = envelope_of(entry, channels::INFERENCE_RESPONSE)?;
        let answer = match envelope.event_type.as_str() {
            InferenceCompleted::TYPE => Answer::Completed(envelope.decode()?),
            _ => Answer::Failed(envelope.decode()?),
        };
        Ok((envelope, answer))
    }

    /// What a listener of the run hears, until the text is `until`.
    pub(crate) async fn heard(&self, run: RunId, until: &str) -> Result<Vec<LiveEvent>> {
        let mut items = self.deps.bus.live_subscribe(&run.live_topic(), 0).await?;
        let mut events = Vec::new();
        let listening = async {
            while text_of(&events) != until {
                if let LiveItem::Entry { data, .. } = items.next().await.context("live ended")? {
                    events.push(serde_json::from_slice(&data)?);
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, listening)
            .await
            .with_context(|| format!("waited to hear `{until}`"))??;
        Ok(events)
    }
}

/// What a reader shows: deltas append, snapshots replace.
pub(crate) fn text_of(events: &[LiveEvent]) -> String {
    events
        .iter()
        .fold(String::new(), |shown, event| match event {
            LiveEvent::Delta { text, .. } => shown + text,
            LiveEvent::Snapshot { text, .. } => text.clone(),
            _ => shown,
        })
}

/// Everything logged on this thread, at any level.
#[derive(Clone, Default)]
pub(crate) struct Logs(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Logs {
    /// Collects until the guard is dropped.
    pub(crate) fn install(&self) -> tracing::subscriber::DefaultGuard {
        let logs = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || logs.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(crate) fn text(&self) -> String {
        let bytes = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl std::io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
