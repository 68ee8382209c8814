//! The recorder as a service: receipts on the bus, answers over HTTP.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_bus::{Bus, BusConfig, BusUrl, ReadFrom};
use nexus_contracts::events::ReceiptRecorded;
use nexus_contracts::principal::Principal;
use nexus_contracts::{
    ConversationId, Envelope, Extra, MessageId, Metadata, Timestamp, channels, tables,
};
use nexus_recorder::{Config, DEFAULT_CONFIG, NAME, service};
use nexus_service_kit::telemetry::install_tls;
use nexus_service_kit::{
    ConfigSource, Node, NodeConfig, RunningNode, envelope_of, outgoing, put_table,
};
use nexus_testkit::wait_until;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::world::{ORG, OTHER_ORG, OTHER_USER, USER, World};

const PATIENCE: Duration = Duration::from_secs(20);

struct Setup {
    node: RunningNode,
    http: reqwest::Client,
    base: String,
    _folder: tempfile::TempDir,
}

impl Setup {
    async fn start() -> Result<Self> {
        install_tls();
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        let url = BusUrl::Embedded {
            path: path.join("bus.db"),
            read_only: false,
        };
        let bus = BusConfig::new(url, path.join("blobs"));
        let config = NodeConfig::local(bus, format!("sqlite:{}", path.display()));
        let recorder: Config = ConfigSource::default().section(NAME, DEFAULT_CONFIG)?;
        let node = Node::start(config, vec![service(recorder)]).await?;
        let local = Principal {
            org_id: ORG,
            user_id: USER,
            roles: vec!["owner".to_owned()],
            extra: Extra::new(),
        };
        put_table(node.bus(), tables::PRINCIPALS, "client:local", &local).await?;
        let base = format!("http://{}", node.http_address());
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            node,
            http,
            base,
            _folder: folder,
        })
    }

    fn bus(&self) -> &Bus {
        self.node.bus()
    }

    async fn publish(&self, world: &World) -> Result<()> {
        let messages = world.messages.iter();
        let records = messages.map(|one| outgoing(one.channel.clone(), &one.envelope));
        self.bus().publish(records.collect()).await?;
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Response> {
        Ok(self.http.get(format!("{}{path}", self.base)).send().await?)
    }

    async fn json(&self, path: &str) -> Result<Value> {
        Ok(self.get(path).await?.error_for_status()?.json().await?)
    }

    async fn receipts(&self) -> Result<Vec<(Envelope, ReceiptRecorded)>> {
        let entries = self
            .bus()
            .read(channels::RECEIPTS, ReadFrom::Start, 1_000)
            .await?;
        let read = entries.iter().map(|entry| {
            let envelope = envelope_of(entry, channels::RECEIPTS)?;
            let receipt = envelope.decode()?;
            Ok((envelope, receipt))
        });
        read.collect()
    }
}

#[tokio::test]
async fn what_is_told_of_conversations_is_confirmed_once_it_is_kept() -> Result<()> {
    let setup = Setup::start().await?;
    let (mut one, mut other) = (World::new(), World::of(OTHER_ORG, OTHER_USER));
    for world in [&mut one, &mut other] {
        let first = world.turn(None, "alpha", "beta")?;
        world.rename(first.conversation, "title")?;
        let branch = world.branch(first.conversation, first.run, ("gamma", "delta"))?;
        world.summarize(branch.conversation, "short")?;
        world.delete(first.conversation)?;
        setup.publish(world).await?;
    }
    for world in [&one, &other] {
        let told = world
            .messages
            .iter()
            .filter(|one| one.channel == channels::CONVERSATIONS);
        let told: BTreeSet<MessageId> = told.map(|one| one.envelope.id.clone()).collect();
        wait_until(PATIENCE, "receipts", async || {
            let receipts = setup.receipts().await?;
            ensure!(receipts.iter().all(|(_, receipt)| receipt.by == "recorder"));
            let org = Some(world.reader.org);
            let own = receipts
                .iter()
                .filter(|(envelope, _)| envelope.metadata.org_id == org);
            let ids: BTreeSet<_> = own.flat_map(|(_, receipt)| receipt.ids.clone()).collect();
            Ok(ids == told)
        })
        .await?;
    }
    let listed = setup.json("/v1/conversations").await?;
    let listed = listed["conversations"].as_array().context("a list")?;
    ensure!(listed.len() == 1, "the deleted one is gone: {listed:?}");
    setup.node.shutdown();
    setup.node.stopped().await?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_understood_is_not_confirmed() -> Result<()> {
    let setup = Setup::start().await?;
    let mut world = World::new();
    let first = world.turn(None, "alpha", "beta")?;
    world.rename(first.conversation, "title")?;
    setup.publish(&world).await?;
    let told = world
        .messages
        .last()
        .context("it was told")?
        .envelope
        .clone();
    let named = |id: &str, event_type: &str, payload: &str| -> Result<Envelope> {
        Ok(Envelope {
            id: MessageId::new(id)?,
            event_type: event_type.to_owned(),
            payload: payload.to_owned().into(),
            content_type: nexus_contracts::ContentType::Json,
            ..told.clone()
        })
    };
    let unreadable = named("unreadable", "conversation.deleted", "{}")?;
    let unknown = named("unknown", "conversation.frozen", "{}")?;
    let records = [&unreadable, &unknown].map(|one| outgoing(channels::CONVERSATIONS, one));
    setup.bus().publish(records.to_vec()).await?;
    let parked = format!("{}.dead", channels::CONVERSATIONS);
    wait_until(PATIENCE, "the unreadable one is parked", async || {
        let dead = setup.bus().read(&parked, ReadFrom::Start, 10).await?;
        Ok(dead.len() == 1)
    })
    .await?;
    wait_until(PATIENCE, "the unknown one is archived", async || {
        let trace = setup.json("/v1/runs/all").await?;
        Ok(trace.to_string().contains("conversation.frozen"))
    })
    .await?;
    let receipts = setup.receipts().await?;
    let ids: Vec<&str> = receipts
        .iter()
        .flat_map(|(_, receipt)| receipt.ids.iter().map(MessageId::as_str))
        .collect();
    ensure!(ids == [told.id.as_str()], "{ids:?}");
    Ok(())
}

#[tokio::test]
async fn conversations_over_http() -> Result<()> {
    let setup = Setup::start().await?;
    let mut world = World::new();
    let first = world.turn(None, "alpha <b>", "beta")?;
    world.rename(first.conversation, "title\"; x=\"")?;
    setup.publish(&world).await?;
    let path = format!("/v1/conversations/{}", first.conversation);
    wait_until(PATIENCE, "the conversation", async || {
        let found = setup.json(&path).await?;
        Ok(found["messages"]
            .as_array()
            .is_some_and(|said| said.len() == 2)
            && found["title"] == "title\"; x=\"")
    })
    .await?;
    let end = setup.json(&format!("{path}?limit=1")).await?;
    ensure!(end["messages"][0]["text"] == "beta", "{end}");
    let next = end["next"].as_str().context("there is more")?;
    let start = setup.json(&format!("{path}?limit=1&before={next}")).await?;
    ensure!(start["messages"][0]["text"] == "alpha <b>", "{start}");

    let found = setup.json("/v1/conversations/search?q=ALPH*").await?;
    let piece = &found["hits"][0]["snippet"][0];
    ensure!(piece["text"] == "alpha" && piece["hit"] == true, "{found}");
    for bad in [
        "search",
        "search?q=",
        "search?q=%22-%22",
        "search?q=a&before=x",
        "search?q=a&x=1",
    ] {
        let response = setup.get(&format!("/v1/conversations/{bad}")).await?;
        ensure!(
            response.status() == StatusCode::BAD_REQUEST,
            "{bad}: {}",
            response.status()
        );
    }

    let exported = setup
        .get(&format!("{path}/export"))
        .await?
        .error_for_status()?;
    let file = exported
        .headers()
        .get("content-disposition")
        .context("a name")?
        .to_str()?;
    let expected = format!(
        "attachment; filename=\"conversation-{}.json\"",
        first.conversation
    );
    ensure!(file == expected, "{file}");
    let document: Value = exported.json().await?;
    ensure!(
        document["format"] == "nexus.conversation" && document["version"] == 1,
        "{document}"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_anothers_is_as_if_it_never_was() -> Result<()> {
    let setup = Setup::start().await?;
    let mut strange = World::of(ORG, OTHER_USER);
    strange.now = 100_000;
    let hidden = strange.turn(None, "alpha", "beta")?;
    strange.rename(hidden.conversation, "title")?;
    setup.publish(&strange).await?;
    let mut own = World::new();
    own.turn(None, "alpha of mine", "beta")?;
    setup.publish(&own).await?;
    wait_until(PATIENCE, "both are recorded", async || {
        let listed = setup.json("/v1/conversations").await?;
        Ok(listed.to_string().contains("alpha of mine") && !setup.receipts().await?.is_empty())
    })
    .await?;
    let found = setup.json("/v1/conversations/search?q=alpha").await?;
    ensure!(
        found["hits"].as_array().is_some_and(|hits| hits.len() == 1),
        "{found}"
    );
    let never = ConversationId(uuid::Uuid::from_u128(42));
    for path in ["", "/export"] {
        let of = |id: ConversationId| format!("/v1/conversations/{id}{path}");
        let (there, nowhere) = (
            setup.get(&of(hidden.conversation)).await?,
            setup.get(&of(never)).await?,
        );
        ensure!(there.status() == StatusCode::NOT_FOUND && nowhere.status() == there.status());
        ensure!(there.text().await? == nowhere.text().await?);
    }
    Ok(())
}

#[test]
fn the_same_messages_give_the_same_receipt() -> Result<()> {
    let ids = [
        MessageId::new("a")?,
        MessageId::new("b")?,
        MessageId::new("c")?,
    ];
    let [a, b, c] = &ids;
    let kept = [(0, ORG, a), (1, OTHER_ORG, b), (3, ORG, c)];
    let at = Timestamp::from_millis(5);
    let receipts = nexus_recorder::receipt::receipts(kept, at)?;
    let carriers: Vec<usize> = receipts.iter().map(|(carrier, _)| *carrier).collect();
    ensure!(carriers == [0, 1], "{carriers:?}");
    let (_, first) = receipts.first().context("two")?;
    ensure!(first.decode::<ReceiptRecorded>()?.ids == [a.clone(), c.clone()]);
    let expected = Metadata {
        org_id: Some(ORG),
        ..Metadata::default()
    };
    ensure!(first.metadata == expected);
    ensure!(nexus_recorder::receipt::receipts(kept, at)? == receipts);
    Ok(())
}
