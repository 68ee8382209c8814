//! Keeps one server running: starts it, watches it, starts it again.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, ClientNotification, ClientRequest,
    PingRequest, ProgressToken, RequestId,
};
use rmcp::service::{Peer, RoleClient};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Surroundings, connect, variables};
use super::fault::Fault;
use super::{Live, Shared, list};
use crate::backoff;
use crate::text;

/// Between the end of a server's input and its being killed.
const GRACE: Duration = Duration::from_secs(2);
/// Between two listings, however often the server says that they changed.
const LISTING_GAP: Duration = Duration::from_millis(500);
/// A server that changes without saying so is found out after at most this.
const LISTING_EVERY: Duration = Duration::from_mins(5);
/// For telling a server that a call was given up.
const TELLING: Duration = Duration::from_secs(5);

/// For reading what a program said before it ended.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a run ended.
enum Ended {
    Stopped,
    Failed(String),
}

/// What a task beside the connection came to.
pub(super) enum Done {
    Nothing,
    Listed(Result<(), String>),
    Alive(bool),
}

/// Runs the server until `stop`.
pub(crate) async fn supervise(
    shared: Arc<Shared>,
    around: Arc<Surroundings>,
    stop: CancellationToken,
) {
    let restart = shared.config.restart;
    let mut failures = 0;
    while !stop.is_cancelled() {
        shared.starting();
        let mut ready = None;
        let Ended::Failed(reason) = Box::pin(run(&shared, &around, &stop, &mut ready)).await else {
            break;
        };
        let up = ready.map_or(Duration::ZERO, |since: Instant| since.elapsed());
        failures = backoff::failures(&restart, failures, up);
        let wait = backoff::delay(&restart, failures.saturating_sub(1), rand::random());
        shared.failed(&reason, wait);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shared.nudge.notified() => {}
            () = stop.cancelled() => {}
        }
    }
    shared.stopped();
}

async fn run(
    shared: &Arc<Shared>,
    around: &Surroundings,
    stop: &CancellationToken,
    ready: &mut Option<Instant>,
) -> Ended {
    let variables = match variables(&shared.config, around) {
        Ok(variables) => variables,
        Err(reason) => return Ended::Failed(reason),
    };
    let fault = Fault::default();
    let start = timeout(
        shared.config.timeout,
        connect(shared, around, &variables, &fault),
    );
    let connection = tokio::select! {
        connection = start => connection,
        () = stop.cancelled() => return Ended::Stopped,
    };
    let failure = match connection {
        Ok(Ok(connection)) => {
            let ended = Watch::over(shared, connection).until(stop, ready).await;
            match ended {
                Ended::Stopped => return Ended::Stopped,
                Ended::Failed(reason) => reason,
            }
        }
        Ok(Err(reason)) => reason,
        Err(_) => format!(
            "it did not answer the greeting in {:?}",
            shared.config.timeout
        ),
    };
    Ended::Failed(explain(shared, &fault, &failure, &variables))
}

/// The deepest reason known, and the last words of the program.
fn explain(
    shared: &Shared,
    fault: &Fault,
    failure: &str,
    secrets: &BTreeMap<String, String>,
) -> String {
    let mut reason = fault
        .get()
        .map_or_else(|| failure.to_owned(), |fault| format!("it {fault}"));
    if let Some(last) = shared.tail.lines().last() {
        reason = format!("{reason}; it last said: {last}");
    }
    let secrets: Vec<String> = secrets.values().cloned().collect();
    text::scrub(&reason, &secrets)
}

/// One connection being watched.
struct Watch<'a> {
    shared: &'a Arc<Shared>,
    connection: Open,
    /// Calls whose caller went away.
    dropped: mpsc::UnboundedReceiver<(RequestId, ProgressToken)>,
    live: Live,
    changed: Arc<tokio::sync::Notify>,
    tasks: JoinSet<Done>,
    listing: bool,
    pinging: bool,
    next_listing: Instant,
    last_listing: Instant,
    next_ping: Instant,
}

/// The parts of a connection that end.
struct Open {
    /// The connection itself; `None` once it is over.
    over: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    close: Option<rmcp::service::RunningServiceCancellationToken>,
    process: Option<Box<dyn crate::launch::Process>>,
    fault: Fault,
    version: Option<String>,
}

impl<'a> Watch<'a> {
    fn over(shared: &'a Arc<Shared>, connection: Connection) -> Self {
        let Connection {
            service,
            process,
            fault,
            tasks,
        } = connection;
        let (sender, dropped) = mpsc::unbounded_channel();
        let live = Live {
            peer: service.peer().clone(),
            listeners: service.service().listeners.clone(),
            dropped: sender,
        };
        let info = service.peer().peer_info();
        let version = info.and_then(|info| info.server_info.clone());
        let version = version.map(|it| text::line(&format!("{} {}", it.name, it.version), 200));
        let changed = Arc::clone(&service.service().changed);
        let close = Some(service.cancellation_token());
        let over: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let _ = service.waiting().await;
        });
        let now = Instant::now();
        Self {
            shared,
            connection: Open {
                over: Some(over),
                close,
                process,
                fault,
                version,
            },
            dropped,
            live,
            changed,
            tasks,
            listing: false,
            pinging: false,
            next_listing: now,
            last_listing: now,
            next_ping: now + shared.config.ping,
        }
    }

    /// Until the server ends or is stopped; in both cases nothing of it is left afterwards.
    async fn until(mut self, stop: &CancellationToken, ready: &mut Option<Instant>) -> Ended {
        let ended = loop {
            if let Some(ended) = self.once(stop, ready).await {
                break ended;
            }
        };
        self.close().await;
        ended
    }

    async fn once(
        &mut self,
        stop: &CancellationToken,
        ready: &mut Option<Instant>,
    ) -> Option<Ended> {
        let shared = self.shared;
        tokio::select! {
            () = stop.cancelled() => Some(Ended::Stopped),
            () = over(&mut self.connection.over) => Some(Ended::Failed("it closed the connection".to_owned())),
            () = gone(&mut self.connection.process) => {
                // Its last answer may still lie in the pipe.
                let _ = timeout(LAST_WORDS, over(&mut self.connection.over)).await;
                Some(Ended::Failed("its program ended".to_owned()))
            }
            Some((call, token)) = self.dropped.recv() => {
                self.live.listeners.remove(&token);
                self.give_up(call);
                None
            }
            Some(done) = self.tasks.join_next() => self.done(done.unwrap_or(Done::Nothing), ready),
            () = self.changed.notified() => {
                self.next_listing = self.next_listing.min(self.last_listing + LISTING_GAP);
                None
            }
            () = shared.nudge.notified() => {
                self.next_listing = Instant::now();
                None
            }
            () = sleep_until(self.next_listing), if !self.listing => {
                self.list();
                None
            }
            () = sleep_until(self.next_ping), if !self.pinging => {
                self.ping();
                None
            }
        }
    }

    fn done(&mut self, done: Done, ready: &mut Option<Instant>) -> Option<Ended> {
        match done {
            Done::Nothing => None,
            Done::Alive(true) => {
                self.pinging = false;
                self.next_ping = Instant::now() + self.shared.config.ping;
                None
            }
            Done::Alive(false) => Some(Ended::Failed("it no longer answers".to_owned())),
            Done::Listed(Ok(())) => {
                self.listing = false;
                if ready.is_none() {
                    *ready = Some(Instant::now());
                    self.shared
                        .ready(self.live.clone(), self.connection.version.clone());
                }
                None
            }
            Done::Listed(Err(reason)) => Some(Ended::Failed(reason)),
        }
    }

    fn list(&mut self) {
        self.listing = true;
        self.last_listing = Instant::now();
        self.next_listing = self.last_listing + LISTING_EVERY;
        let shared = Arc::clone(self.shared);
        let peer = self.live.peer.clone();
        self.tasks.spawn(async move {
            let wait = shared.config.timeout;
            let listed = timeout(wait, list::tools(&peer, &shared.config)).await;
            let listed =
                listed.unwrap_or_else(|_| Err(format!("it did not list its tools in {wait:?}")));
            Done::Listed(match listed {
                Ok((seen, set_aside)) => shared.judge(seen, set_aside).await,
                Err(reason) => Err(reason),
            })
        });
    }

    /// Only while no call runs: a server may do one thing at a time.
    fn ping(&mut self) {
        if self.shared.calls.available_permits() < self.shared.config.limits.calls {
            self.next_ping = Instant::now() + self.shared.config.ping;
            return;
        }
        self.pinging = true;
        let peer = self.live.peer.clone();
        let wait = self.shared.config.timeout;
        self.tasks.spawn(async move {
            let ping = peer.send_request(ClientRequest::PingRequest(PingRequest::default()));
            // Any answer is a sign of life, a refusal too.
            Done::Alive(matches!(
                timeout(wait, ping).await,
                Ok(Ok(_) | Err(rmcp::ServiceError::McpError(_)))
            ))
        });
    }

    fn give_up(&mut self, call: RequestId) {
        let peer = self.live.peer.clone();
        self.tasks.spawn(async move {
            let _ = timeout(TELLING, tell(&peer, call)).await;
            Done::Nothing
        });
    }

    /// Asks the server to end, waits a little, kills what is left of it.
    async fn close(self) {
        let Open {
            over: open,
            close,
            process,
            fault,
            ..
        } = self.connection;
        let (mut open, mut process, mut tasks) = (open, process, self.tasks);
        if let Some(close) = close {
            close.cancel();
        }
        // One that broke the rules is owed no time.
        if fault.get().is_none() {
            let _ = timeout(GRACE, leave(&mut open, &mut process)).await;
        }
        if let Some(process) = &mut process {
            process.kill();
            let _ = timeout(GRACE, process.ended()).await;
        }
        drop(open);
        // Its last words may still lie in the pipe.
        let drained = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(LAST_WORDS, drained).await;
    }
}

/// Until the connection is over and the program has ended by itself.
async fn leave(
    open: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    process: &mut Option<Box<dyn crate::launch::Process>>,
) {
    if open.is_some() {
        over(open).await;
    }
    if process.is_some() {
        gone(process).await;
    }
}

/// Until the connection is over; never, where it is already.
async fn over(open: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>) {
    match open {
        Some(over) => over.as_mut().await,
        None => std::future::pending().await,
    }
    *open = None;
}

/// Until the program ended; never, where there is none.
async fn gone(process: &mut Option<Box<dyn crate::launch::Process>>) {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

async fn tell(peer: &Peer<RoleClient>, call: RequestId) {
    let params =
        CancelledNotificationParam::new(Some(call), Some("the caller went away".to_owned()));
    let notification =
        ClientNotification::CancelledNotification(CancelledNotification::new(params));
    let _ = peer.send_notification(notification).await;
}
