//! A node with entry-api and the fake orchestrator, in a folder and a database of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nexus_bus::{Bus, BusConfig, BusUrl};
use nexus_entry_api::migrations::SCHEMA;
use nexus_entry_api::view::{Accepted, ApprovalList, ApprovalView, MessageView};
use nexus_entry_api::{Config, DEFAULT_CONFIG, NAME, service};
use nexus_service_kit::telemetry::install_tls;
use nexus_service_kit::{ConfigSource, Node, NodeConfig, RunningNode, Service};
use nexus_testkit::{PgServer, wait_for};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::orchestrator::{Orchestrator, Seen, org};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What outlives a node: its folder, its database, and what the orchestrator knows.
pub(crate) struct Place {
    pub(crate) seen: Arc<Seen>,
    pub(crate) folder: TempDir,
    store: String,
    owner: Option<String>,
    _server: Option<PgServer>,
}

impl Place {
    pub(crate) fn sqlite() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self {
            seen: Arc::default(),
            store: format!("sqlite:{}", folder.path().display()),
            owner: None,
            folder,
            _server: None,
        })
    }

    pub(crate) async fn postgres() -> Result<Self> {
        let server = nexus_testkit::postgres().await?;
        let roles = server.fresh_database_with_roles().await?;
        Ok(Self {
            seen: Arc::default(),
            store: roles.app,
            owner: Some(roles.owner),
            folder: tempfile::tempdir()?,
            _server: Some(server),
        })
    }

    /// As the local client, with short pauses.
    pub(crate) async fn start(self) -> Result<Setup> {
        self.start_with(&[]).await
    }

    /// The same with some keys set otherwise.
    pub(crate) async fn start_with(self, keys: &[(&str, &str)]) -> Result<Setup> {
        install_tls();
        let path = self.folder.path();
        let url = BusUrl::Embedded {
            path: path.join("bus.db"),
            read_only: false,
        };
        let bus = BusConfig::new(url, path.join("blobs"));
        let config = NodeConfig {
            store_owner: self.owner.clone(),
            ..NodeConfig::local(bus, self.store.clone())
        };
        let services: Vec<Box<dyn Service>> = vec![
            Box::new(Orchestrator {
                seen: Arc::clone(&self.seen),
            }),
            service(quick(keys)?),
        ];
        let node = Node::start(config, services).await?;
        let base = format!("http://{}", node.http_address());
        let setup = Setup {
            node,
            seen: Arc::clone(&self.seen),
            http: reqwest::Client::builder().no_proxy().build()?,
            base,
            place: self,
        };
        setup.until_principal_is_known().await?;
        Ok(setup)
    }
}

/// Everything of one test.
pub(crate) struct Setup {
    pub(crate) node: RunningNode,
    pub(crate) seen: Arc<Seen>,
    http: reqwest::Client,
    base: String,
    place: Place,
}

impl Setup {
    pub(crate) async fn stop(self) -> Result<Place> {
        self.node.shutdown();
        self.node.stopped().await?;
        Ok(self.place)
    }

    pub(crate) fn bus(&self) -> &Bus {
        self.node.bus()
    }

    pub(crate) async fn post(&self, body: &Value) -> Result<Response> {
        self.post_with(body, None).await
    }

    pub(crate) async fn post_with(&self, body: &Value, key: Option<&str>) -> Result<Response> {
        self.post_to("/v1/messages", body, key).await
    }

    pub(crate) async fn post_to(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Response> {
        let mut request = self.http.post(format!("{}{path}", self.base)).json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Ok(request.send().await?)
    }

    /// Any request, with a body where it has one.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
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

    pub(crate) async fn events(&self, id: &str, after: Option<&str>) -> Result<Response> {
        let mut request = self
            .http
            .get(format!("{}/v1/messages/{id}/events", self.base));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
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

    /// Waits until this many tool calls wait for a decision.
    pub(crate) async fn open_approvals(&self, count: usize) -> Result<Vec<ApprovalView>> {
        wait_for(PATIENCE, "approvals to be asked", async || {
            let list = self.get("/v1/approvals").await?.error_for_status()?;
            let list: ApprovalList = list.json().await?;
            Ok((list.approvals.len() == count).then_some(list.approvals))
        })
        .await
    }

    /// How many rows of this organisation a table has.
    pub(crate) async fn rows(&self, table: &str) -> Result<i64> {
        let stores = &self.node.deps().stores;
        let store = stores.open(NAME, SCHEMA).await?;
        let tx = store.read(org()).await?;
        let sql = format!("SELECT count(*) AS n FROM {table} WHERE org_id = $1");
        let rows = tx.query(&sql, vec![org().to_string().into()]).await?;
        let row = rows.first().context("a count has a row")?;
        Ok(row.get("n")?)
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
fn quick(keys: &[(&str, &str)]) -> Result<Config> {
    let short = [
        ("republish_after", "200ms"),
        ("incarnation_poll", "50ms"),
        ("recheck", "1s"),
    ];
    let overrides: Vec<(String, String)> = short
        .iter()
        .chain(keys)
        .map(|(key, value)| (format!("{NAME}.{key}"), (*value).to_owned()))
        .collect();
    let source = ConfigSource::of_layers(None, [], &overrides)?;
    Ok(source.section(NAME, DEFAULT_CONFIG)?)
}

/// The body of an answer that is good.
pub(crate) async fn good(response: Response, status: u16) -> Result<Value> {
    let got = response.status().as_u16();
    let text = response.text().await?;
    anyhow::ensure!(got == status, "{got}: {text}");
    Ok(serde_json::from_str(&text)?)
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
