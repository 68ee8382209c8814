//! An orchestrator in a node of its own; the test plays client, router and tools.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use nexus_bus::{Bus, BusConfig, Outgoing, ReadFrom, Record};
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, Usage};
use nexus_contracts::events::{
    Event, InferenceCompleted, InferenceRequested, MessageAccepted, MessageCompleted,
    MessageFailed, MessageSubmitted, ReceiptRecorded, ToolCompleted, ToolRequested,
};
use nexus_contracts::principal::Principal;
use nexus_contracts::{
    ConversationId, Envelope, Extra, MessageId, Metadata, OrgId, RunId, Timestamp, UserId, channels,
};
use nexus_orchestrator::db::schema::SCHEMA;
use nexus_orchestrator::{DEFAULT_CONFIG, NAME, service};
use nexus_service_kit::{
    ConfigSource, Node, NodeConfig, RunningNode, Stores, envelope_of, outgoing,
};
use nexus_store::Store;
use nexus_testkit::{PgServer, wait_for};
use tempfile::TempDir;
use uuid::Uuid;

/// The organisation of all but the stranger.
pub(crate) const ORG: OrgId = OrgId(Uuid::from_u128(1));

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
        let world = Self::without_tools().await?;
        world.list_tools().await?;
        Ok(world)
    }

    pub(crate) async fn postgres() -> Result<Self> {
        let server = nexus_testkit::postgres().await?;
        let store = server.fresh_database().await?;
        let world = Self::start(tempfile::tempdir()?, store, Some(server)).await?;
        world.list_tools().await?;
        Ok(world)
    }

    /// Nobody has listed any yet.
    pub(crate) async fn without_tools() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = format!("sqlite:{}", folder.path().join("data").display());
        Self::start(folder, store, None).await
    }

    async fn start(folder: TempDir, store: String, postgres: Option<PgServer>) -> Result<Self> {
        let node = start_node(&folder, &store).await?;
        Ok(Self {
            bus: node.bus().clone(),
            node: Some(node),
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

    pub(crate) const fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The orchestrator's database, as it is on the disk.
    pub(crate) async fn database(&self) -> Result<Store> {
        Ok(Stores::new(&self.store)?.open(NAME, SCHEMA).await?)
    }

    pub(crate) async fn submit(&self, id: &str, text: &str) -> Result<()> {
        let payload = serde_json::json!({ "text": text }).to_string();
        self.put(id, "message.submitted", &payload).await
    }

    /// As a raw client writes: JSON, and no more fields than it needs.
    pub(crate) async fn put(&self, id: &str, event_type: &str, payload: &str) -> Result<()> {
        self.put_as("", id, event_type, payload).await
    }

    /// The same as another client.
    pub(crate) async fn put_as(
        &self,
        client: &str,
        id: &str,
        event_type: &str,
        payload: &str,
    ) -> Result<()> {
        let fields = [("id", id), ("type", event_type), ("payload", payload)];
        let fields = fields.map(|(name, value)| (name.to_owned(), Bytes::from(value.to_owned())));
        let channel = channels::incoming(client);
        self.bus
            .publish(vec![Outgoing {
                channel,
                record: Record::new(fields),
            }])
            .await?;
        Ok(())
    }

    /// Asks for something about a conversation; gives what it is answered with.
    pub(crate) async fn ask_for<E: Event>(
        &self,
        client: &str,
        id: &str,
        event: &E,
    ) -> Result<Envelope> {
        let payload = serde_json::to_string(event)?;
        self.put_as(client, id, E::TYPE, &payload).await?;
        self.answered(client, id).await
    }

    /// What a request is answered with at once.
    pub(crate) async fn answered(&self, client: &str, id: &str) -> Result<Envelope> {
        let channel = channels::processed(client);
        wait_for(PATIENCE, &format!("an answer to {id}"), async || {
            let entries = self.bus.read(&channel, ReadFrom::Start, 1000).await?;
            let mut envelopes = entries
                .iter()
                .filter_map(|entry| envelope_of(entry, &channel).ok());
            Ok(envelopes.find(|envelope| {
                let cause = envelope.metadata.causation_id.as_ref();
                cause.is_some_and(|cause| cause.as_str() == id)
            }))
        })
        .await
    }

    /// A whole turn: asked, answered by the model, delivered. Gives the acceptance.
    pub(crate) async fn turn(
        &self,
        id: &str,
        conversation: Option<ConversationId>,
        (text, answer): (&str, &str),
    ) -> Result<MessageAccepted> {
        let message = MessageSubmitted {
            text: text.to_owned(),
            conversation_id: conversation,
            ..MessageSubmitted::default()
        };
        let accepted = self.ask_for("", id, &message).await?;
        let accepted: MessageAccepted = accepted.decode()?;
        let asked = self.model_call(accepted.run_id, 1).await?;
        self.answer(&asked, answer).await?;
        self.outcome(accepted.run_id).await?;
        Ok(accepted)
    }

    /// What the model is asked in this step of a run.
    pub(crate) async fn model_call(&self, run: RunId, step: u32) -> Result<Envelope> {
        let channel = channels::INFERENCE_REQUEST;
        self.find(channel, InferenceRequested::TYPE, |envelope| {
            envelope.metadata.run_id == Some(run) && envelope.metadata.step == Some(step)
        })
        .await
    }

    /// How a run of the local client ended.
    pub(crate) async fn outcome(&self, run: RunId) -> Result<Envelope> {
        let ends = [MessageCompleted::TYPE, MessageFailed::TYPE];
        self.find(channels::REQUESTS_PROCESSED, "an end", |envelope| {
            ends.contains(&envelope.event_type.as_str()) && envelope.metadata.run_id == Some(run)
        })
        .await
    }

    /// The first event on a channel that is the one wanted.
    pub(crate) async fn find(
        &self,
        channel: &str,
        what: &str,
        wanted: impl Fn(&Envelope) -> bool,
    ) -> Result<Envelope> {
        wait_for(PATIENCE, what, async || {
            let entries = self.bus.read(channel, ReadFrom::Start, 1000).await?;
            let mut envelopes = entries
                .iter()
                .filter_map(|entry| envelope_of(entry, channel).ok());
            Ok(envelopes.find(|envelope| {
                (envelope.event_type == what || what == "an end") && wanted(envelope)
            }))
        })
        .await
    }

    /// Somebody confirms a message.
    pub(crate) async fn confirm(&self, message: &Envelope, by: &str) -> Result<()> {
        let receipt = ReceiptRecorded {
            ids: vec![message.id.clone()],
            by: by.to_owned(),
            extra: Extra::new(),
        };
        let id = MessageId::new(format!("receipt-{by}-{}", message.id))?;
        let envelope =
            Envelope::new(id, Timestamp::from_millis(0), &receipt)?.with_metadata(Metadata {
                org_id: message.metadata.org_id,
                ..Metadata::default()
            });
        self.bus
            .publish(vec![outgoing(channels::RECEIPTS, &envelope)])
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
            ..ToolCompleted::default()
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
                ..ToolRequested::default()
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
        (
            "orchestrator.clients",
            "[local, phone, colleague, stranger]",
        ),
        ("orchestrator.keepers", "[one, two]"),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let source = ConfigSource::load(None, &settings)?;
    let principals = [
        ("client:local", ORG, 2),
        ("client:phone", ORG, 2),
        ("client:colleague", ORG, 3),
        ("client:stranger", OrgId(Uuid::from_u128(9)), 2),
    ];
    let principals = principals.map(|(key, org_id, user)| {
        let principal = Principal {
            org_id,
            user_id: UserId(Uuid::from_u128(user)),
            roles: vec!["owner".to_owned()],
            extra: Extra::new(),
        };
        (key.to_owned(), principal)
    });
    let principals = BTreeMap::from(principals);
    let url = format!("embedded:{}", folder.path().join("bus.db").display());
    let bus = BusConfig::new(url.parse()?, folder.path().join("blobs"));
    let config = NodeConfig::local(bus, store);
    let orchestrator = service(source.section(NAME, DEFAULT_CONFIG)?, principals);
    Ok(Node::start(config, vec![orchestrator]).await?)
}
