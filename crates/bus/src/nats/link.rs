//! The connection: one client per bus, whether it stands, and requests with a deadline.

use std::error::Error as _;
use std::time::Duration;

use async_nats::jetstream::context::{ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{Context, Error as ServerError};
use async_nats::{
    Client, ConnectOptions, Event, HeaderMap, Message, Request, RequestError, RequestErrorKind,
};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::BusError;
use crate::nats::names::Names;

/// How long the server may take to answer a request.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// How long a call waits for a connection that is being made before it gives up.
const PATIENCE: Duration = Duration::from_secs(2);
/// Publishes whose acknowledgement is awaited at one time.
const UNCONFIRMED: usize = 16 * 1024;

/// Codes of the server for "there is no room".
const FULL: [u64; 6] = [10002, 10023, 10028, 10047, 10061, 10077];
/// Codes of the server for "not now".
const NOT_NOW: [u64; 4] = [10008, 10009, 10039, 10076];
/// Codes of the server for "another was faster".
const WRONG_SEQUENCE: [u64; 2] = [10071, 10164];

/// Whether the connection stands.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkState {
    /// It does.
    pub(super) connected: bool,
    /// How many connections were made: what was subscribed before the last may have missed some.
    pub(super) epoch: u64,
    /// Why it does not.
    reason: String,
}

/// Why a request was not granted.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No such stream, consumer or message.
    Missing,
    /// Another write came first.
    Conflict,
    /// Anything else.
    Bus(BusError),
}

impl From<BusError> for Refusal {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

impl From<Refusal> for BusError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::Protocol("the stream was deleted meanwhile".to_owned()),
            Refusal::Conflict => Self::Protocol("another write came first".to_owned()),
            Refusal::Bus(error) => error,
        }
    }
}

/// A client and what belongs to it.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) js: Context,
    pub(super) names: Names,
    pub(super) tasks: TaskTracker,
    pub(super) closed: CancellationToken,
    address: String,
    state: watch::Receiver<LinkState>,
}

impl Link {
    /// Starts connecting; goes on for ever in the background.
    pub(super) async fn connect(url: &str, prefix: &str) -> Result<Self, BusError> {
        let (sender, state) = watch::channel(LinkState::default());
        let options = ConnectOptions::new()
            .name("nexus")
            .retry_on_initial_connect()
            .max_reconnects(None)
            .connection_timeout(PATIENCE)
            .request_timeout(Some(ANSWER))
            .ping_interval(Duration::from_secs(10))
            .reconnect_delay_callback(reconnect_delay)
            .client_capacity(8 * 1024)
            .event_callback(move |event| {
                note(&sender, &event);
                std::future::ready(())
            });
        let address = without_credentials(url);
        let servers: Vec<&str> = url.split(',').collect();
        let client = options.connect(servers).await.map_err(|error| {
            BusError::Config(format!(
                "{address} cannot be used as a NATS address: {error}"
            ))
        })?;
        let js = ContextBuilder::new()
            .timeout(ANSWER)
            .ack_timeout(ANSWER)
            .max_ack_inflight(UNCONFIRMED)
            .build(client.clone());
        Ok(Self {
            client,
            js,
            names: Names::new(prefix),
            tasks: TaskTracker::new(),
            closed: CancellationToken::new(),
            address,
            state,
        })
    }

    /// Changes of the connection.
    pub(super) fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// The number of the connection that stands now.
    pub(super) fn epoch(&self) -> u64 {
        self.state.borrow().epoch
    }

    /// Returns when that connection has broken or the bus is closed.
    pub(super) async fn broken(&self, epoch: u64) {
        let mut state = self.state();
        tokio::select! {
            () = self.closed.cancelled() => {}
            // An error means that the client is gone, and the connection with it.
            _ = state.wait_for(|state| !state.connected || state.epoch != epoch) => {}
        }
    }

    /// Waits a moment for a connection that is not there. What is sent without one would be kept
    /// by the client and published long after its writer gave up.
    pub(super) async fn ready(&self) -> Result<(), BusError> {
        if self.closed.is_cancelled() {
            return Err(BusError::Closed);
        }
        let mut state = self.state();
        if state.borrow().connected {
            return Ok(());
        }
        tokio::select! {
            () = self.closed.cancelled() => Err(BusError::Closed),
            found = tokio::time::timeout(PATIENCE, state.wait_for(|state| state.connected)) => {
                match found {
                    Ok(Ok(_)) => Ok(()),
                    _ => Err(self.unreachable(self.state.borrow().reason.clone())),
                }
            }
        }
    }

    /// The error for a server that does not answer.
    pub(super) fn unreachable(&self, reason: impl Into<String>) -> BusError {
        let reason = reason.into();
        let reason = if reason.is_empty() {
            "no connection yet".to_owned()
        } else {
            reason
        };
        BusError::Unreachable {
            address: self.address.clone(),
            reason,
        }
    }

    /// Asks the `JetStream` API. `call` is the subject behind `$JS.API.`.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        call: &str,
        body: &serde_json::Value,
    ) -> Result<T, Refusal> {
        self.ready().await?;
        let body = if body.is_null() {
            Bytes::new()
        } else {
            json(body)?
        };
        let answer = self
            .request(format!("$JS.API.{call}"), body)
            .await
            .map_err(|refusal| match refusal {
                Refusal::Missing => Refusal::Bus(self.no_jetstream()),
                other => other,
            })?;
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(value)) => Ok(value),
            Ok(Response::Err { error }) => Err(self.refusal(&error)),
            Err(error) => Err(BusError::Protocol(format!("{call}: {error}")).into()),
        }
    }

    /// One request; [`Refusal::Missing`] when nobody listens there.
    pub(super) async fn request(&self, subject: String, body: Bytes) -> Result<Message, Refusal> {
        let request = Request::new().payload(body).timeout(Some(ANSWER));
        let answered = self.client.send_request(subject, request).await;
        answered.map_err(|error| self.request_refusal(&error))
    }

    /// What a refused publish means.
    pub(super) fn publish_refusal(&self, error: &PublishError) -> Refusal {
        match error.kind() {
            PublishErrorKind::StreamNotFound => Refusal::Missing,
            PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId => {
                Refusal::Conflict
            }
            PublishErrorKind::MaxPayloadExceeded => Refusal::Bus(self.too_large()),
            PublishErrorKind::Other => {
                match error
                    .source()
                    .and_then(|source| source.downcast_ref::<ServerError>())
                {
                    Some(error) => self.refusal(error),
                    None => Refusal::Bus(self.unreachable(error.to_string())),
                }
            }
            PublishErrorKind::TimedOut
            | PublishErrorKind::BrokenPipe
            | PublishErrorKind::MaxAckPending => Refusal::Bus(self.unreachable(error.to_string())),
        }
    }

    fn request_refusal(&self, error: &RequestError) -> Refusal {
        match error.kind() {
            RequestErrorKind::NoResponders => Refusal::Missing,
            RequestErrorKind::MaxPayloadExceeded => Refusal::Bus(self.too_large()),
            RequestErrorKind::InvalidSubject => Refusal::Bus(BusError::Config(error.to_string())),
            RequestErrorKind::TimedOut => {
                Refusal::Bus(self.unreachable(format!("no answer within {} s", ANSWER.as_secs())))
            }
            RequestErrorKind::Other => Refusal::Bus(self.unreachable(error.to_string())),
        }
    }

    /// What an error of the server means.
    fn refusal(&self, error: &ServerError) -> Refusal {
        let code = error.error_code().0;
        if error.code() == 404 {
            Refusal::Missing
        } else if WRONG_SEQUENCE.contains(&code) {
            Refusal::Conflict
        } else if FULL.contains(&code) {
            Refusal::Bus(BusError::Full {
                reason: error.to_string(),
            })
        } else if NOT_NOW.contains(&code) {
            Refusal::Bus(self.unreachable(error.to_string()))
        } else {
            Refusal::Bus(BusError::Protocol(error.to_string()))
        }
    }

    fn no_jetstream(&self) -> BusError {
        self.unreachable("JetStream is off; start nats-server with -js")
    }

    fn too_large(&self) -> BusError {
        BusError::Config(format!(
            "a record is larger than the {} bytes this NATS server takes; raise its max_payload or \
             lower the bus's inline limit",
            self.client.max_payload()
        ))
    }
}

/// A JSON body.
pub(super) fn json(value: &impl Serialize) -> Result<Bytes, BusError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| BusError::Protocol(format!("request: {error}")))
}

/// A header's number.
pub(super) fn number(headers: Option<&HeaderMap>, name: &str) -> Option<u64> {
    headers?.get_last(name)?.as_str().parse().ok()
}

fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(5);
    Duration::from_millis(if attempts <= 1 { 0 } else { 25 << doublings })
}

fn note(state: &watch::Sender<LinkState>, event: &Event) {
    match event {
        Event::Connected => state.send_modify(|state| {
            state.connected = true;
            state.epoch += 1;
        }),
        Event::Disconnected | Event::Closed => state.send_modify(|state| {
            state.connected = false;
            state.reason = "the connection was lost".to_owned();
        }),
        Event::ServerError(_) | Event::ClientError(_) => {
            state.send_modify(|state| state.reason = event.to_string());
        }
        Event::LameDuckMode | Event::Draining | Event::SlowConsumer(_) => {}
    }
}

/// The servers without user names, passwords and tokens.
fn without_credentials(url: &str) -> String {
    let bare = |server: &str| {
        let (scheme, rest) = server.split_once("://").unwrap_or(("nats", server));
        format!(
            "{scheme}://{}",
            rest.rsplit_once('@').map_or(rest, |(_, host)| host)
        )
    };
    url.split(',').map(bare).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_credentials() {
        assert_eq!(
            without_credentials("nats://me:p@ss@host:4222"),
            "nats://host:4222"
        );
        assert_eq!(
            without_credentials("nats://t@a:1,tls://b:2"),
            "nats://a:1,tls://b:2"
        );
    }

    #[test]
    fn reconnects_at_once_and_then_at_least_every_second() {
        assert_eq!(reconnect_delay(1), Duration::ZERO);
        assert_eq!(reconnect_delay(2), Duration::from_millis(50));
        assert_eq!(reconnect_delay(usize::MAX), Duration::from_millis(800));
    }
}
