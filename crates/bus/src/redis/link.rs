//! One connection that is made when needed and made again whenever it breaks, for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::redis::aio::{MultiplexedConnection, PubSub};
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, Pipeline, ProtocolVersion,
    ScriptInvocation, Value,
};
use parking_lot::Mutex;
use rand::RngExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use crate::BusError;

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests that may queue for the socket before callers wait.
const QUEUED_REQUESTS: usize = 1024;
/// Bytes gathered before they are written while more requests are queued.
const WRITE_BUFFER: usize = 128 * 1024;
/// First pause after a failed attempt to connect; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A server and how to reach it.
pub(super) struct Server {
    client: Client,
    /// Host and port, without credentials.
    pub(super) address: String,
}

impl Server {
    /// Reads the address; connects to nothing.
    pub(super) fn open(url: &str) -> Result<Self, BusError> {
        let bad = |error: &dyn std::fmt::Display| {
            BusError::Config(format!("the redis address cannot be used: {error}"))
        };
        let info = url.into_connection_info().map_err(|error| bad(&error))?;
        let settings = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP2);
        let info = info
            .set_redis_settings(settings)
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let address = info.addr().to_string();
        let client = Client::open(info).map_err(|error| bad(&error))?;
        Ok(Self { client, address })
    }

    async fn dial(&self, timeout: Option<Duration>) -> Result<MultiplexedConnection, Fault> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(timeout)
            .set_pipeline_buffer_size(QUEUED_REQUESTS)
            .set_write_backpressure_boundary(WRITE_BUFFER);
        let dialled = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        dialled.map_err(Fault::of)
    }

    /// A connection for pub/sub.
    pub(super) async fn dial_pubsub(&self) -> Result<PubSub, Fault> {
        let dialled = tokio::time::timeout(CONNECT_TIMEOUT, self.client.get_async_pubsub()).await;
        let Ok(dialled) = dialled else {
            return Err(Fault::Broken("connecting took too long".to_owned()));
        };
        dialled.map_err(Fault::of)
    }
}

/// The pauses between attempts: doubling, jittered, without an end.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) fn next_pause(&mut self) -> Duration {
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.failures.min(10))
            .min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(rand::rng().random_range(0.5..1.0))
    }

    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A request in any of its shapes.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    Command(&'a Cmd),
    /// Answers with an array; an error of one element is an error of all, unless it ignores them.
    Pipeline(&'a Pipeline),
    Script(&'a ScriptInvocation<'a>),
}

/// Which of a link's connections, counted from 1.
pub(super) type Generation = u64;

/// One connection at a time to a server.
pub(super) struct Link {
    server: Arc<Server>,
    closed: CancellationToken,
    timeout: Option<Duration>,
    current: Mutex<Option<(Generation, MultiplexedConnection)>>,
    attempts: AtomicU64,
    dialling: tokio::sync::Mutex<Dialling>,
}

#[derive(Default)]
struct Dialling {
    backoff: Backoff,
    not_before: Option<Instant>,
    last_error: Option<BusError>,
}

impl Link {
    /// `timeout`: of each call; none for a connection that blocks.
    pub(super) fn new(
        server: Arc<Server>,
        closed: CancellationToken,
        timeout: Option<Duration>,
    ) -> Self {
        Self {
            server,
            closed,
            timeout,
            current: Mutex::default(),
            attempts: AtomicU64::new(0),
            dialling: tokio::sync::Mutex::default(),
        }
    }

    /// Sends once. For what must not happen twice without the caller knowing.
    pub(super) async fn once(&self, call: Call<'_>) -> Result<Value, BusError> {
        self.attempt(call).await.map_err(|fault| self.error(fault))
    }

    /// Sends, and once more over a new connection when the old one broke: a connection that died
    /// while idle is no failure of the call. For what may happen twice.
    pub(super) async fn repeat(&self, call: Call<'_>) -> Result<Value, BusError> {
        self.try_repeat(call)
            .await
            .map_err(|fault| self.error(fault))
    }

    /// As [`Self::repeat`], for callers that tell faults apart.
    pub(super) async fn try_repeat(&self, call: Call<'_>) -> Result<Value, Fault> {
        let connected = self.current.lock().is_some();
        match self.attempt(call).await {
            Err(Fault::Broken(_)) if connected => self.attempt(call).await,
            other => other,
        }
    }

    async fn attempt(&self, call: Call<'_>) -> Result<Value, Fault> {
        let (generation, mut connection) = self.connection().await?;
        let result = match call {
            Call::Command(command) => command.query_async(&mut connection).await,
            Call::Pipeline(pipeline) => pipeline.query_async(&mut connection).await,
            Call::Script(script) => script.invoke_async(&mut connection).await,
        };
        result.map_err(|error| self.failed(generation, Fault::of(error)))
    }

    /// Drops a connection whose use ended in a fault that says it is broken.
    pub(super) fn failed(&self, generation: Generation, fault: Fault) -> Fault {
        if matches!(fault, Fault::Broken(_)) {
            self.drop_connection(generation);
        }
        fault
    }

    /// Drops a connection, unless it has been replaced already.
    pub(super) fn drop_connection(&self, generation: Generation) {
        let mut current = self.current.lock();
        if current
            .as_ref()
            .is_some_and(|(number, _)| *number == generation)
        {
            *current = None;
        }
    }

    /// Drops whatever connection there is.
    pub(super) fn forget(&self) {
        *self.current.lock() = None;
    }

    pub(super) fn error(&self, fault: Fault) -> BusError {
        fault.into_error(&self.server.address)
    }

    /// The connection, made if there is none. At most one attempt is made per call, and callers
    /// that wait for the same attempt share its outcome.
    pub(super) async fn connection(&self) -> Result<(Generation, MultiplexedConnection), Fault> {
        if self.closed.is_cancelled() {
            return Err(Fault::Plain(BusError::Closed));
        }
        let ready = || self.current.lock().clone();
        if let Some(ready) = ready() {
            return Ok(ready);
        }
        let seen = self.attempts.load(Ordering::Acquire);
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Fault::Plain(BusError::Closed)),
            mut dialling = self.dialling.lock() => {
                if let Some(ready) = ready() {
                    return Ok(ready);
                }
                if self.attempts.load(Ordering::Acquire) != seen
                    && let Some(error) = &dialling.last_error
                {
                    return Err(Fault::Plain(error.clone()));
                }
                self.dial(&mut dialling).await
            }
        }
    }

    async fn dial(
        &self,
        dialling: &mut Dialling,
    ) -> Result<(Generation, MultiplexedConnection), Fault> {
        if let Some(moment) = dialling.not_before {
            tokio::select! {
                () = self.closed.cancelled() => return Err(Fault::Plain(BusError::Closed)),
                () = tokio::time::sleep_until(moment) => {}
            }
        }
        let generation = self.attempts.fetch_add(1, Ordering::AcqRel) + 1;
        match self.server.dial(self.timeout).await {
            Ok(connection) => {
                if dialling.last_error.take().is_some() {
                    tracing::info!(address = %self.server.address, "redis answers again");
                }
                dialling.backoff.reset();
                dialling.not_before = None;
                *self.current.lock() = Some((generation, connection.clone()));
                Ok((generation, connection))
            }
            Err(fault) => {
                dialling.not_before = Some(Instant::now() + dialling.backoff.next_pause());
                let error = self.error(fault);
                if dialling.last_error.replace(error.clone()).is_none() {
                    tracing::warn!(%error, "redis is not reachable; trying again for ever");
                }
                Err(Fault::Plain(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_never_shows_its_credentials() {
        let server = Server::open("redis://user:secret@127.0.0.1:7001/2").unwrap();
        assert_eq!(server.address, "127.0.0.1:7001");
        let error = Server::open("redis://user:secret@:x/")
            .err()
            .unwrap()
            .to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn pauses_grow_to_a_limit_and_start_over() {
        let mut backoff = Backoff::default();
        assert!(backoff.next_pause() <= FIRST_PAUSE);
        let later: Vec<_> = (0..40).map(|_| backoff.next_pause()).collect();
        assert!(later.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert!(
            later
                .last()
                .is_some_and(|pause| *pause >= LONGEST_PAUSE / 2)
        );
        backoff.reset();
        assert!(backoff.next_pause() <= FIRST_PAUSE);
    }
}
