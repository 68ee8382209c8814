//! A node with entry-api and the fake orchestrator, in a folder of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nexus_bus::{Bus, BusConfig, BusUrl};
use nexus_entry_api::view::{Accepted, MessageView};
use nexus_entry_api::{Config, DEFAULT_CONFIG, NAME, service};
use nexus_service_kit::telemetry::install_tls;
use nexus_service_kit::{ConfigSource, Node, NodeConfig, RunningNode, Service};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::orchestrator::{Orchestrator, Seen};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Everything of one test.
pub(crate) struct Setup {
    pub(crate) node: RunningNode,
    pub(crate) seen: Arc<Seen>,
    http: reqwest::Client,
    base: String,
    folder: Arc<TempDir>,
}

impl Setup {
    pub(crate) async fn start() -> Result<Self> {
        Self::in_folder(Arc::new(tempfile::tempdir()?), Arc::default()).await
    }

    /// The same folder again, after a stop.
    pub(crate) async fn again(folder: Arc<TempDir>, seen: Arc<Seen>) -> Result<Self> {
        Self::in_folder(folder, seen).await
    }

    async fn in_folder(folder: Arc<TempDir>, seen: Arc<Seen>) -> Result<Self> {
        install_tls();
        let path = folder.path();
        let url = BusUrl::Embedded {
            path: path.join("bus.db"),
            read_only: false,
        };
        let bus = BusConfig::new(url, path.join("blobs"));
        let config = NodeConfig::local(bus, format!("sqlite:{}", path.display()));
        let services: Vec<Box<dyn Service>> = vec![
            Box::new(Orchestrator {
                seen: Arc::clone(&seen),
            }),
            service(quick()?),
        ];
        let node = Node::start(config, services).await?;
        let base = format!("http://{}", node.http_address());
        let http = reqwest::Client::builder().no_proxy().build()?;
        let setup = Self {
            node,
            seen,
            http,
            base,
            folder,
        };
        setup.until_principal_is_known().await?;
        Ok(setup)
    }

    pub(crate) async fn stop(self) -> Result<(Arc<TempDir>, Arc<Seen>)> {
        self.node.shutdown();
        self.node.stopped().await?;
        Ok((self.folder, self.seen))
    }

    pub(crate) fn bus(&self) -> &Bus {
        self.node.bus()
    }

    pub(crate) async fn post(&self, body: &Value) -> Result<Response> {
        self.post_with(body, None).await
    }

    pub(crate) async fn post_with(&self, body: &Value, key: Option<&str>) -> Result<Response> {
        let mut request = self
            .http
            .post(format!("{}/v1/messages", self.base))
            .json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Ok(request.send().await?)
    }

    pub(crate) async fn post_raw(&self, body: Vec<u8>) -> Result<Response> {
        Ok(self
            .http
            .post(format!("{}/v1/messages", self.base))
            .body(body)
            .send()
            .await?)
    }

    pub(crate) async fn say(&self, text: &str) -> Result<Accepted> {
        accepted(self.post(&json!({ "text": text })).await?).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Response> {
        Ok(self.http.get(format!("{}{path}", self.base)).send().await?)
    }

    pub(crate) async fn events(&self, id: &str, after: Option<u64>) -> Result<Response> {
        let mut request = self
            .http
            .get(format!("{}/v1/messages/{id}/events", self.base));
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        Ok(request.send().await?)
    }

    pub(crate) async fn delete(&self, id: &str) -> Result<Response> {
        Ok(self
            .http
            .delete(format!("{}/v1/messages/{id}", self.base))
            .send()
            .await?)
    }

    /// Waits on the server for the end of a message.
    pub(crate) async fn ended(&self, id: &str) -> Result<MessageView> {
        let response = self.get(&format!("/v1/messages/{id}?wait=20s")).await?;
        let view: MessageView = response.error_for_status()?.json().await?;
        anyhow::ensure!(view.status.is_final(), "{view:?}");
        Ok(view)
    }

    async fn until_principal_is_known(&self) -> Result<()> {
        let wait = async {
            loop {
                let id = uuid::Uuid::nil();
                let response = self.get(&format!("/v1/messages/{id}")).await?;
                if response.status() != StatusCode::SERVICE_UNAVAILABLE {
                    return anyhow::Ok(());
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .context("the principal never came")?
    }
}

/// The defaults with short pauses.
fn quick() -> Result<Config> {
    let overrides = [
        ("republish_after", "200ms"),
        ("incarnation_poll", "50ms"),
        ("recheck", "1s"),
    ]
    .map(|(key, value)| (format!("{NAME}.{key}"), value.to_owned()));
    let source = ConfigSource::of_layers(None, [], &overrides)?;
    Ok(source.section(NAME, DEFAULT_CONFIG)?)
}

/// The body of a 202.
pub(crate) async fn accepted(response: Response) -> Result<Accepted> {
    anyhow::ensure!(
        response.status() == StatusCode::ACCEPTED,
        "{:?}",
        response.text().await?
    );
    Ok(response.json().await?)
}

/// Status and body of a refusal, which must be a problem.
pub(crate) async fn problem(response: Response) -> Result<(u16, Value)> {
    let status = response.status().as_u16();
    let kind = response
        .headers()
        .get("content-type")
        .map(|kind| kind.as_bytes().to_vec());
    anyhow::ensure!(
        kind.as_deref() == Some(b"application/problem+json"),
        "{response:?}"
    );
    Ok((status, response.json().await?))
}
