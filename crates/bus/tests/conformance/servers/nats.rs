//! NATS.

use anyhow::{Context, Result, ensure};
use async_nats::Client;
use async_trait::async_trait;
use nexus_bus::{Bus, BusConfig, BusUrl};
use nexus_testkit::NatsServer;
use serde_json::{Value, json};

use crate::harness::Server;

pub(crate) struct Nats {
    server: NatsServer,
}

impl Nats {
    pub(crate) async fn start() -> Result<Self> {
        Ok(Self { server: nexus_testkit::nats().await? })
    }

    /// Updates every stream that has messages.
    async fn limit(&self, limit: impl Fn(u64) -> Value) -> Result<()> {
        let client = async_nats::connect(self.server.url()).await?;
        for name in streams(&client).await? {
            let info = ask(&client, &format!("INFO.{name}"), &Value::Null).await?;
            let messages = info["state"]["messages"].as_u64().context("a count of messages")?;
            if messages > 0 {
                let mut config = info["config"].clone();
                config["max_msgs"] = limit(messages);
                config["discard"] = json!("new");
                ask(&client, &format!("UPDATE.{name}"), &config).await?;
            }
        }
        Ok(())
    }
}

async fn streams(client: &Client) -> Result<Vec<String>> {
    let listed = ask(client, "NAMES", &Value::Null).await?;
    let names = listed["streams"].as_array().cloned().unwrap_or_default();
    Ok(names.iter().filter_map(|name| name.as_str().map(ToOwned::to_owned)).collect())
}

async fn ask(client: &Client, what: &str, body: &Value) -> Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = client.request(format!("$JS.API.STREAM.{what}"), body.into()).await?;
    let reply: Value = serde_json::from_slice(&reply.payload)?;
    ensure!(reply["error"].is_null(), "{what}: {}", reply["error"]);
    Ok(reply)
}

#[async_trait(?Send)]
impl Server for Nats {
    fn url(&self) -> BusUrl {
        BusUrl::Nats(self.server.url())
    }

    fn handles_survive(&self) -> bool {
        true
    }

    async fn open(&self, config: &BusConfig) -> Result<Bus> {
        Ok(Bus::connect(config).await?)
    }

    async fn stop(&mut self) -> Result<()> {
        self.server.stop().await
    }

    async fn start(&mut self) -> Result<()> {
        self.server.start().await
    }

    async fn flush(&mut self) -> Result<()> {
        let client = async_nats::connect(self.server.url()).await?;
        for name in streams(&client).await? {
            ask(&client, &format!("DELETE.{name}"), &Value::Null).await?;
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        self.limit(|messages| json!(messages)).await
    }

    async fn relieve(&mut self) -> Result<()> {
        self.limit(|_| json!(-1)).await
    }
}
