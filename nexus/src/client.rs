//! Talks to a running node over HTTP, as any other program would.

use std::time::Duration;

use eventsource_stream::Eventsource;
use futures::StreamExt;
use nexus_contracts::live::LiveEvent;
use nexus_entry_api::view::{Accepted, MessageView};
use nexus_service_kit::telemetry::install_tls;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use crate::exit::{Exit, Failure};

/// How long a node may take to say that it is there.
const PROBE: Duration = Duration::from_millis(500);

/// How long to wait before a broken event stream is asked for again.
const AGAIN: Duration = Duration::from_millis(250);

/// How long a node may take for anything but an event stream.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node, by its address.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// How far a connection led.
enum Followed {
    ToTheEnd,
    Broken,
    Away,
}

/// How long a node may be away before it counts as gone.
const RESTART: Duration = Duration::from_secs(5);

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

    /// Reports everything that goes on with a message until it has ended, across broken
    /// connections.
    ///
    /// # Errors
    /// No end before `until`, or what the node says against it.
    pub async fn follow(
        &self,
        id: &str,
        until: Instant,
        mut report: impl FnMut(&LiveEvent) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut seen = 0_u64;
        let mut away: Option<Instant> = None;
        let follow = async {
            loop {
                let followed = self.follow_once(id, &mut seen, &mut report).await?;
                if matches!(followed, Followed::ToTheEnd) {
                    return Ok(());
                }
                // A node that is being restarted comes back; one that stopped does not.
                let is_away = matches!(followed, Followed::Away);
                away = is_away.then(|| away.unwrap_or_else(Instant::now));
                if away.is_some_and(|since| since.elapsed() > RESTART) {
                    return Err(self.gone(id));
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout_at(until, follow)
            .await
            .unwrap_or_else(|_elapsed| {
                Err(
                    Failure::new(Exit::Timeout, format!("no answer to {id} in time")).todo(
                        format!(
                            "It may still come: curl '{}/v1/messages/{id}?wait=60s'. `nexus \
                             doctor`, and /readyz on the admin port, say what may hold it up",
                            self.base
                        ),
                    ),
                )
            })
    }

    fn gone(&self, id: &str) -> Failure {
        Failure::unreachable(format!("the node at {} is gone", self.base)).todo(format!(
            "The question is kept. Start the node again, then: curl '{}/v1/messages/{id}?wait=60s'",
            self.base
        ))
    }

    /// One connection's worth of reports.
    async fn follow_once(
        &self,
        id: &str,
        seen: &mut u64,
        report: &mut impl FnMut(&LiveEvent) -> Result<(), Failure>,
    ) -> Result<Followed, Failure> {
        let url = self.url(&format!("/v1/messages/{id}/events"));
        let mut request = self.http.get(url);
        if *seen > 0 {
            request = request.header("last-event-id", seen.to_string());
        }
        let Ok(response) = request.send().await else {
            return Ok(Followed::Away);
        };
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            return Ok(Followed::Broken);
        }
        let mut events = refused(response).await?.bytes_stream().eventsource();
        while let Some(Ok(event)) = events.next().await {
            *seen = event.id.parse().unwrap_or(*seen);
            let Ok(event) = serde_json::from_str::<LiveEvent>(&event.data) else {
                continue;
            };
            report(&event)?;
            if event.is_final() {
                return Ok(Followed::ToTheEnd);
            }
        }
        Ok(Followed::Broken)
    }

    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
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
