//! What goes on with a message, as it happens, across broken connections.

use std::time::Duration;

use eventsource_stream::{Event, EventStreamError, Eventsource};
use futures::StreamExt;
use futures::stream::BoxStream;
use nexus_contracts::live::LiveEvent;
use reqwest::StatusCode;
use tokio::time::Instant;

use super::{Client, refused};
use crate::exit::{Exit, Failure};

/// How long to wait before a broken event stream is asked for again.
const AGAIN: Duration = Duration::from_millis(250);

/// How long a node may be away before it counts as gone.
const RESTART: Duration = Duration::from_secs(5);

type Connection = BoxStream<'static, Result<Event, EventStreamError<reqwest::Error>>>;

/// The reports on one message, until it has ended.
pub struct Events<'a> {
    client: &'a Client,
    id: String,
    until: Instant,
    seen: u64,
    away: Option<Instant>,
    connection: Option<Connection>,
    is_over: bool,
}

impl Client {
    /// Follows a message until it has ended, but not beyond `until`.
    #[must_use]
    pub fn events(&self, id: &str, until: Instant) -> Events<'_> {
        Events {
            client: self,
            id: id.to_owned(),
            until,
            seen: 0,
            away: None,
            connection: None,
            is_over: false,
        }
    }
}

impl Events<'_> {
    /// The next report; `None` behind the last one.
    ///
    /// # Errors
    /// No end in time, a node that is gone, or what the node says against it.
    pub async fn next(&mut self) -> Result<Option<LiveEvent>, Failure> {
        if self.is_over {
            return Ok(None);
        }
        let until = self.until;
        let received = tokio::time::timeout_at(until, self.receive()).await;
        let event = received.unwrap_or_else(|_elapsed| Err(self.too_late()))?;
        self.is_over = event.is_final();
        Ok(Some(event))
    }

    /// Time a person took does not count.
    pub fn extend(&mut self, by: Duration) {
        self.until += by;
    }

    async fn receive(&mut self) -> Result<LiveEvent, Failure> {
        loop {
            let Some(connection) = &mut self.connection else {
                self.connect().await?;
                continue;
            };
            let Some(Ok(event)) = connection.next().await else {
                self.connection = None;
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            self.seen = event.id.parse().unwrap_or(self.seen);
            // What this version does not know is not shown.
            if let Ok(event) = serde_json::from_str(&event.data) {
                return Ok(event);
            }
        }
    }

    /// A node that is being restarted comes back; one that stopped does not.
    async fn connect(&mut self) -> Result<(), Failure> {
        let path = format!("/v1/messages/{}/events", self.id);
        let mut request = self.client.http.get(self.client.url(&path));
        if self.seen > 0 {
            request = request.header("last-event-id", self.seen.to_string());
        }
        match request.send().await {
            Err(_) => {
                let since = *self.away.get_or_insert_with(Instant::now);
                if since.elapsed() > RESTART {
                    return Err(self.gone());
                }
            }
            Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => {
                self.away = None;
            }
            Ok(response) => {
                self.away = None;
                let events = refused(response).await?.bytes_stream().eventsource();
                self.connection = Some(events.boxed());
                return Ok(());
            }
        }
        tokio::time::sleep(AGAIN).await;
        Ok(())
    }

    fn gone(&self) -> Failure {
        let (base, id) = (self.client.base(), &self.id);
        Failure::unreachable(format!("the node at {base} is gone")).todo(format!(
            "The question is kept. Start the node again, then: curl '{base}/v1/messages/{id}?wait=60s'"
        ))
    }

    fn too_late(&self) -> Failure {
        let (base, id) = (self.client.base(), &self.id);
        Failure::new(Exit::Timeout, format!("no answer to {id} in time")).todo(format!(
            "It may still come: curl '{base}/v1/messages/{id}?wait=60s'. `nexus doctor`, and \
             /readyz on the admin port, say what may hold it up"
        ))
    }
}
