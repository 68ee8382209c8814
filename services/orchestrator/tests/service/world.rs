//! An orchestrator in a node of its own; the test plays client, router and tools.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use nexus_bus::{Bus, BusConfig, Outgoing, ReadFrom, Record};
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, ToolSpec, Usage};
use nexus_contracts::events::{Event, InferenceCompleted, ToolCompleted, ToolRequested};
use nexus_contracts::principal::Principal;
use nexus_contracts::{Envelope, Extra, Metadata, OrgId, Timestamp, UserId, channels, tables};
use nexus_orchestrator::{DEFAULT_CONFIG, NAME, service};
use nexus_service_kit::{
    ConfigSource, Node, NodeConfig, RunningNode, envelope_of, outgoing, put_table,
};
use nexus_testkit::{PgServer, wait_for};
use tempfile::TempDir;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    node: Option<RunningNode>,
    bus: Bus,
    store: String,
    folder: TempDir,
    _postgres: Option<PgServer>,
}

/// Each test twice: on SQLite and on PostgreSQL.
macro_rules! sqlite_and_postgres {
    ($(async fn $name:ident($world:ident: World) -> Result<()> $body:block)*) => {
        $(
            mod $name {
                use super::*;

                async fn body($world: World) -> Result<()> $body

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() -> Result<()> {
                    body(World::sqlite().await?).await
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() -> Result<()> {
                    body(World::postgres().await?).await
                }
            }
        )*
    };
}
pub(crate) use sqlite_and_postgres;

impl World {
    pub(crate) async fn sqlite() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = format!("sqlite:{}", folder.path().join("data").display());
        Self::start(folder, store, None).await
    }

    pub(crate) async fn postgres() -> Result<Self> {
        let server = nexus_testkit::postgres().await?;
        let store = server.fresh_database().await?;
        Self::start(tempfile::tempdir()?, store, Some(server)).await
    }

    async fn start(folder: TempDir, store: String, postgres: Option<PgServer>) -> Result<Self> {
        let node = start_node(&folder, &store).await?;
        let bus = node.bus().clone();
        let tool = ToolSpec {
            name: "math_solver".to_owned(),
            description: "Calculates.".to_owned(),
            parameters: serde_json::json!({ "type": "object" }),
            extra: Extra::new(),
        };
        put_table(&bus, tables::TOOLS, &tool.name, &tool).await?;
        Ok(Self {
            node: Some(node),
            bus,
            store,
            folder,
            _postgres: postgres,
        })
    }

    /// Ends the node and starts another one on the same files.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        let node = self.node.take().context("a node")?;
        node.shutdown();
        node.stopped().await?;
        let node = start_node(&self.folder, &self.store).await?;
        self.bus = node.bus().clone();
        self.node = Some(node);
        Ok(())
    }

    pub(crate) async fn submit(&self, id: &str, text: &str) -> Result<()> {
        let payload = serde_json::json!({ "text": text }).to_string();
        self.put(id, "message.submitted", &payload).await
    }

    /// As a raw client writes: JSON, and no more fields than it needs.
    pub(crate) async fn put(&self, id: &str, event_type: &str, payload: &str) -> Result<()> {
        let fields = [("id", id), ("type", event_type), ("payload", payload)];
        let fields = fields.map(|(name, value)| (name.to_owned(), Bytes::from(value.to_owned())));
        let channel = channels::REQUESTS_INCOMING.to_owned();
        self.bus
            .publish(vec![Outgoing {
                channel,
                record: Record::new(fields),
            }])
            .await?;
        Ok(())
    }

    /// The first event of this type on this channel.
    pub(crate) async fn next(&self, channel: &str, event_type: &str) -> Result<Envelope> {
        self.nth(channel, event_type, 0).await
    }

    /// The event number `nth` of this type on this channel, once it is there.
    pub(crate) async fn nth(
        &self,
        channel: &str,
        event_type: &str,
        nth: usize,
    ) -> Result<Envelope> {
        wait_for(
            PATIENCE,
            &format!("{event_type} number {nth}"),
            async || {
                let entries = self.bus.read(channel, ReadFrom::Start, 1000).await?;
                let envelopes = entries
                    .iter()
                    .filter_map(|entry| envelope_of(entry, channel).ok());
                Ok(envelopes
                    .filter(|envelope| envelope.event_type == event_type)
                    .nth(nth))
            },
        )
        .await
    }

    pub(crate) async fn answer(&self, command: &Envelope, text: &str) -> Result<()> {
        self.inferred(command, ChatMessage::text(Role::Assistant, text))
            .await
    }

    pub(crate) async fn answer_with_tool(&self, command: &Envelope) -> Result<()> {
        let call = ToolCall {
            id: "call_1".to_owned(),
            name: "math_solver".to_owned(),
            arguments: "{\"expression\":\"6*7\"}".to_owned(),
        };
        let message = ChatMessage {
            tool_calls: vec![call],
            ..ChatMessage::text(Role::Assistant, "")
        };
        self.inferred(command, message).await
    }

    async fn inferred(&self, command: &Envelope, message: ChatMessage) -> Result<()> {
        let result = InferenceCompleted {
            message,
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
            provider: "test".to_owned(),
            model: "test-1".to_owned(),
            duration_ms: 1,
            metadata: Extra::new(),
            extra: Extra::new(),
        };
        self.result(command, "inference", &result).await
    }

    pub(crate) async fn tool_returns(&self, command: &Envelope, result: &str) -> Result<()> {
        let request: ToolRequested = command.decode()?;
        let result = ToolCompleted {
            call_id: request.call_id,
            name: request.name,
            result: serde_json::json!({ "result": result }),
            duration_ms: 1,
            extra: Extra::new(),
        };
        self.result(command, "tool", &result).await
    }

    /// A result whose payload is not one.
    pub(crate) async fn garbage_result(&self, command: &Envelope) -> Result<()> {
        let mut envelope = Self::envelope(
            command,
            "inference",
            &ToolRequested {
                call_id: String::new(),
                name: String::new(),
                arguments: String::new(),
                extra: Extra::new(),
            },
        )?;
        envelope.event_type = InferenceCompleted::TYPE.to_owned();
        envelope.payload = Bytes::from_static(&[0xc1, 0xff]);
        self.bus
            .publish(vec![outgoing(channels::INFERENCE_RESPONSE, &envelope)])
            .await?;
        Ok(())
    }

    async fn result<E: Event>(&self, command: &Envelope, kind: &str, event: &E) -> Result<()> {
        let envelope = Self::envelope(command, kind, event)?;
        self.bus
            .publish(vec![outgoing(E::CHANNEL, &envelope)])
            .await?;
        Ok(())
    }

    fn envelope<E: Event>(command: &Envelope, kind: &str, event: &E) -> Result<Envelope> {
        let metadata = Metadata {
            causation_id: Some(command.id.clone()),
            ..command.metadata.clone()
        };
        let now = Timestamp::from_millis(0);
        Ok(Envelope::new(command.id.result(kind), now, event)?
            .correlated(command.correlation_id.clone())
            .with_metadata(metadata))
    }
}

async fn start_node(folder: &TempDir, store: &str) -> Result<RunningNode> {
    let settings = [
        ("orchestrator.resend_after", "300ms"),
        ("orchestrator.sweep_interval", "50ms"),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let source = ConfigSource::load(None, &settings)?;
    let principal = Principal {
        org_id: OrgId(Uuid::from_u128(1)),
        user_id: UserId(Uuid::from_u128(2)),
        roles: vec!["owner".to_owned()],
        extra: Extra::new(),
    };
    let principals = BTreeMap::from([("client:local".to_owned(), principal)]);
    let url = format!("embedded:{}", folder.path().join("bus.db").display());
    let bus = BusConfig::new(url.parse()?, folder.path().join("blobs"));
    let config = NodeConfig::local(bus, store);
    let orchestrator = service(source.section(NAME, DEFAULT_CONFIG)?, principals);
    Ok(Node::start(config, vec![orchestrator]).await?)
}
