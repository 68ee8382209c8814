//! The whole router behind a bus: a command is published, and its answer is read from its channel.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use nexus_bus::{Bus, Delivery, Entry, Group, GroupSpec};
use nexus_contracts::events::{InferenceCompleted, InferenceFailed, InferenceRequested};
use nexus_contracts::{
    ConversationId, CorrelationId, Envelope, Event, MessageId, Metadata, OrgId, RunId, channels,
};
use nexus_service_kit::{
    Clock, ConfigSource, Node, NodeConfig, RunningNode, envelope_of, outgoing,
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::asker::{Asker, Prompt, Sample, check};
use super::core::providers_yaml;
use super::wanted::Wanted;
use crate::database::{Database, Storage};
use crate::server::{Backend, Server};

/// Longest wait for an answer: of thousands at once too.
const PATIENCE: Duration = Duration::from_secs(240);

/// Calls of models the router makes at once.
const PERMITS: usize = 2048;

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Entry>>>>;

/// A router on a bus of its own, and a client of that bus.
pub(super) struct Behind {
    node: RunningNode,
    client: Arc<Client>,
    reader: JoinSet<Result<()>>,
    // Last: fields drop in order.
    _server: Server,
    _folder: TempDir,
}

impl Behind {
    /// Starts everything; answers are kept in `SQLite` files.
    pub(super) async fn start(backend: Backend, base_url: &str, prompt: &Prompt) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::start(backend, folder.path()).await?;
        let node = node(&server, base_url, folder.path()).await?;
        let clock = Clock::system();
        let client = Arc::new(Client {
            bus: node.bus().clone(),
            org: OrgId(clock.new_id()),
            waiting: Waiting::default(),
            prompt: prompt.clone(),
            clock: clock.clone(),
        });
        let spec = GroupSpec {
            channel: channels::INFERENCE_RESPONSE.to_owned(),
            group: "bench".to_owned(),
            consumer: clock.new_id().to_string(),
            lease: Duration::from_secs(60),
            max_in_flight: 10_000,
        };
        let group = node.bus().group(spec).await?;
        let mut reader = JoinSet::new();
        reader.spawn(read(group, Arc::clone(&client.waiting)));
        Ok(Self {
            node,
            client,
            reader,
            _server: server,
            _folder: folder,
        })
    }

    /// Who asks it.
    pub(super) fn asker(&self) -> Arc<dyn Asker> {
        Arc::clone(&self.client) as Arc<dyn Asker>
    }

    /// Stops it.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.reader.shutdown().await;
        self.node.shutdown();
        Ok(self.node.stopped().await?)
    }
}

async fn node(server: &Server, base_url: &str, folder: &Path) -> Result<RunningNode> {
    let providers = folder.join("providers.yaml");
    std::fs::write(&providers, providers_yaml(base_url))?;
    let database = Database::start(Storage::Sqlite, folder, None).await?;
    let mut settings = vec![
        ("bus.url", server.url()),
        ("bus.blobs", folder.join("blobs").display().to_string()),
        ("http.listen", "127.0.0.1:0".to_owned()),
        ("admin.listen", "127.0.0.1:0".to_owned()),
        ("provider-router.permits", PERMITS.to_string()),
        (
            "provider-router.providers_file",
            providers.display().to_string(),
        ),
    ];
    settings.extend(database.settings());
    let settings: Vec<(String, String)> = settings
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let source = ConfigSource::load(None, &settings)?;
    let services = nexus::compose::chosen(&source, &["provider-router".to_owned()])
        .map_err(|failure| anyhow::anyhow!("{failure}"))?;
    Ok(Node::start(NodeConfig::from_source(&source)?, services).await?)
}

/// Hands every answer to whoever waits for it.
async fn read(mut group: Group, waiting: Waiting) -> Result<()> {
    loop {
        let batch = group.reader.next(1024, Duration::from_secs(1)).await?;
        let mut settlements = Vec::with_capacity(batch.len());
        for leased in batch {
            let id = leased.entry.record.text("correlation_id");
            let asked = id.and_then(|id| lock(&waiting).remove(id));
            if let Some(asked) = asked {
                // Who no longer waits has given up, and said so.
                drop(asked.send(leased.entry.clone()));
            }
            settlements.push(Delivery::new(leased).ack(Vec::new()));
        }
        for settled in group.settler.settle(&settlements).await {
            settled?;
        }
    }
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Entry>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts commands on the bus and waits for their answers.
struct Client {
    bus: Bus,
    org: OrgId,
    waiting: Waiting,
    prompt: Prompt,
    clock: Clock,
}

impl Client {
    /// A command of a conversation and a run of its own.
    fn command(&self, id: &str, wanted: Wanted) -> Result<Envelope> {
        let messages = self.prompt.messages(wanted);
        let asked: InferenceRequested =
            serde_json::from_value(serde_json::json!({ "messages": messages }))?;
        let id = MessageId::new(id)?;
        let run = RunId::of(self.org, "bench", &id);
        let metadata = Metadata {
            org_id: Some(self.org),
            run_id: Some(run),
            step: Some(1),
            conversation_id: Some(ConversationId::opened_by(run)),
            ..Metadata::default()
        };
        let correlation = CorrelationId::new(id.as_str())?;
        Ok(Envelope::new(id, self.clock.now(), &asked)?
            .correlated(Some(correlation))
            .with_metadata(metadata))
    }
}

#[async_trait]
impl Asker for Client {
    async fn ask(&self, wanted: Wanted) -> Result<Sample> {
        let id = self.clock.new_id().to_string();
        let command = self.command(&id, wanted)?;
        let (answered, answer) = oneshot::channel();
        lock(&self.waiting).insert(id, answered);
        let began = Instant::now();
        let record = outgoing(channels::INFERENCE_REQUEST, &command);
        self.bus.publish(vec![record]).await?;
        let answer = timeout(PATIENCE, answer).await;
        let whole = began.elapsed();
        let entry = answer
            .context("no answer on the bus in time")?
            .context("the reader of answers has ended")?;
        let envelope = envelope_of(&entry, channels::INFERENCE_RESPONSE)?;
        ensure!(
            envelope.event_type == InferenceCompleted::TYPE,
            "a call failed: {:?}",
            envelope.decode::<InferenceFailed>()
        );
        let completed: InferenceCompleted = envelope.decode()?;
        check(wanted, &completed.message.content)?;
        Ok(Sample { first: None, whole })
    }
}
