//! Talks to a running node over HTTP, as any other program would.

pub mod approvals;
pub mod conversations;
pub mod documents;
pub mod events;
pub mod inbox;
pub mod mcp;
pub mod tools;

use std::time::Duration;

use nexus_entry_api::view::{Accepted, CommandStatus, CommandView, MessageView};
use nexus_service_kit::telemetry::install_tls;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// How long a node may take to say that it is there.
const PROBE: Duration = Duration::from_millis(500);

/// How long a node may take for anything but an event stream.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node, by its address.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// The node at this address, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(base: &str) -> Result<Self, Failure> {
        let bad = || {
            Failure::usage(format!("`{base}` is no address of a node"))
                .todo("Write it as http://127.0.0.1:8080")
        };
        let url = reqwest::Url::parse(base).map_err(|_unreadable| bad())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad());
        }
        install_tls();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(PATIENCE)
            .build()
            .map_err(Failure::failed)?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// The address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether a node of Nexus answers there.
    pub async fn is_there(&self) -> bool {
        let ask = async {
            let response = self.http.get(self.url("/openapi.json")).send().await.ok()?;
            let document: Value = response.json().await.ok()?;
            Some(document.pointer("/info/title")?.as_str()? == "Nexus")
        };
        matches!(tokio::time::timeout(PROBE, ask).await, Ok(Some(true)))
    }

    /// Says something.
    ///
    /// # Errors
    /// What the node says against it, or that it cannot be reached.
    pub async fn submit(&self, message: &Value) -> Result<Accepted, Failure> {
        let request = self
            .http
            .post(self.url("/v1/messages"))
            .json(message)
            .timeout(PATIENCE);
        self.read(request).await
    }

    /// A message as it stands.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn message(&self, id: &str) -> Result<MessageView, Failure> {
        let path = format!("/v1/messages/{id}");
        self.read(self.http.get(self.url(&path)).timeout(PATIENCE))
            .await
    }

    /// No longer wants the answer.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn cancel(&self, id: &str) -> Result<MessageView, Failure> {
        let path = format!("/v1/messages/{id}");
        self.read(self.http.delete(self.url(&path)).timeout(PATIENCE))
            .await
    }

    /// What became of a command that is stored, once that is known.
    ///
    /// # Errors
    /// What stands against it, or that nobody has answered it yet.
    async fn settled(&self, command: CommandView) -> Result<CommandView, Failure> {
        let mut command = command;
        if command.status == CommandStatus::Queued {
            let path = format!("/v1/commands/{}?wait=30s", command.command_id);
            let patience = PATIENCE + PATIENCE;
            let request = self.http.get(self.url(&path)).timeout(patience);
            command = self.read(request).await?;
        }
        let id = command.command_id;
        match (command.status, &command.error) {
            (CommandStatus::Accepted, _) => Ok(command),
            (CommandStatus::Failed, Some(error)) => {
                let what = format!("{} ({})", error.detail, error.code);
                Err(Failure::failed(what))
            }
            (CommandStatus::Failed, None) => Err(Failure::failed("it was refused")),
            (CommandStatus::Queued, _) => Err(Failure::new(
                Exit::Timeout,
                "it is stored, but nobody has answered it yet",
            )
            .todo(format!(
                "It will still be done. curl '{}/v1/commands/{id}?wait=60s'; `nexus doctor` says \
                 whether an orchestrator runs",
                self.base
            ))),
        }
    }

    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, Failure> {
        let response = request.send().await.map_err(|error| self.away(&error))?;
        refused(response)
            .await?
            .json()
            .await
            .map_err(|error| self.away(&error))
    }

    fn away(&self, error: &reqwest::Error) -> Failure {
        Failure::unreachable(format!("the node at {} did not answer: {error}", self.base))
            .todo("Start one with `nexus up`, or say where it is: --url or NEXUS_URL")
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// An address made of segments, whatever signs a person wrote into one.
    fn address(&self, segments: &[&str]) -> Result<reqwest::Url, Failure> {
        let mut url = reqwest::Url::parse(&self.base).map_err(Failure::usage)?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        Ok(url)
    }
}

/// What a node says against a request, in its own words.
async fn refused(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let exit = if status.is_client_error() {
        Exit::Usage
    } else {
        Exit::Unreachable
    };
    let problem: Value = response.json().await.unwrap_or_default();
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let title = text("title")
        .or_else(|| status.canonical_reason())
        .unwrap_or("refused");
    Err(match text("detail") {
        Some(detail) => Failure::new(exit, format!("{title}: {detail}")),
        None => Failure::new(exit, format!("{title} ({status})")),
    })
}
