//! NATS.

use anyhow::{Result, ensure};
use async_nats::Client;
use async_trait::async_trait;
use nexus_bus::{Bus, BusConfig, BusUrl};
use nexus_testkit::NatsServer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::harness::Server;

pub(crate) struct Nats {
    server: NatsServer,
}

impl Nats {
    pub(crate) async fn start() -> Result<Self> {
        Ok(Self {
            server: nexus_testkit::nats().await?,
        })
    }

    /// Updates every stream that has messages.
    async fn limit(&self, limit: impl Fn(u64) -> Value) -> Result<()> {
        let client = async_nats::connect(self.server.url()).await?;
        for name in streams(&client).await? {
            let mut info: Info = ask(&client, &format!("INFO.{name}"), String::new()).await?;
            if info.state.messages > 0 {
                info.config
                    .insert("max_msgs".to_owned(), limit(info.state.messages));
                info.config.insert("discard".to_owned(), "new".into());
                let config = serde_json::to_string(&info.config)?;
                ask::<Info>(&client, &format!("UPDATE.{name}"), config).await?;
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Info {
    config: Map<String, Value>,
    state: State,
}

#[derive(Deserialize)]
struct State {
    messages: u64,
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    streams: Option<Vec<String>>,
}

async fn streams(client: &Client) -> Result<Vec<String>> {
    let names: Names = ask(client, "NAMES", String::new()).await?;
    Ok(names.streams.unwrap_or_default())
}

/// Asks the server; an answer that says what went wrong is an error.
async fn ask<T: DeserializeOwned>(client: &Client, what: &str, body: String) -> Result<T> {
    let reply = client
        .request(format!("$JS.API.STREAM.{what}"), body.into())
        .await?;
    let reply: Value = serde_json::from_slice(&reply.payload)?;
    ensure!(reply.get("error").is_none(), "{what}: {reply}");
    Ok(serde_json::from_value(reply)?)
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
            ask::<Value>(&client, &format!("DELETE.{name}"), String::new()).await?;
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        self.limit(Value::from).await
    }

    async fn relieve(&mut self) -> Result<()> {
        self.limit(|_| Value::from(-1)).await
    }
}
