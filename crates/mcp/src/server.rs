//! One server: what is known of it, shared between its supervisor and who calls it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmcp::model::{ProgressToken, RequestId};
use rmcp::service::{Peer, RoleClient};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::client::Listeners;
use crate::config;
use crate::definition::{Definition, Pin};
use crate::error::Error;
use crate::launch::tail::Tail;
use crate::pins::{Known, Pins, first_use};

pub(crate) mod calling;
mod connection;
pub(crate) mod fault;
mod list;
mod listing;
pub(crate) mod status;
pub(crate) mod supervise;

pub(crate) use connection::Surroundings;
pub(crate) use listing::{Entry, Listing};
use status::{Health, Status};

/// A server as both sides see it.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) config: config::Server,
    pins: Arc<dyn Pins>,
    /// One writer of approvals at a time.
    pinning: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    news: watch::Sender<u64>,
    tail: Tail,
    calls: Arc<Semaphore>,
    /// Somebody wants the tools listed anew, or the server started without waiting.
    nudge: Notify,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// The last complete listing; it outlives its connection.
    listing: Option<Arc<Listing>>,
    live: Option<Live>,
    restarts: u32,
    version: Option<String>,
}

#[derive(Default)]
enum Phase {
    #[default]
    Starting,
    Ready,
    Failed {
        reason: String,
        next_try: Instant,
    },
    Stopped,
}

/// A connection that can be called over.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) peer: Peer<RoleClient>,
    pub(crate) listeners: Listeners,
    /// Calls whose caller went away.
    pub(crate) dropped: mpsc::UnboundedSender<(RequestId, ProgressToken)>,
}

impl Shared {
    pub(crate) fn new(
        name: &str,
        config: config::Server,
        pins: Arc<dyn Pins>,
        news: watch::Sender<u64>,
    ) -> Self {
        let calls = Arc::new(Semaphore::new(config.limits.calls));
        Self {
            name: name.to_owned(),
            config,
            pins,
            pinning: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            news,
            tail: Tail::default(),
            calls,
            nudge: Notify::new(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.news
            .send_modify(|version| *version = version.wrapping_add(1));
    }

    pub(crate) fn starting(&self) {
        self.change(|state| state.phase = Phase::Starting);
    }

    pub(crate) fn ready(&self, live: Live, version: Option<String>) {
        self.change(|state| {
            state.phase = Phase::Ready;
            state.live = Some(live);
            state.version = version;
        });
    }

    pub(crate) fn failed(&self, reason: &str, wait: Duration) {
        tracing::warn!(server = %self.name, reason, ?wait, "an MCP server ended");
        self.change(|state| {
            state.live = None;
            state.restarts = state.restarts.saturating_add(1);
            state.phase = Phase::Failed {
                reason: reason.to_owned(),
                next_try: Instant::now() + wait,
            };
        });
    }

    pub(crate) fn stopped(&self) {
        self.change(|state| {
            state.live = None;
            state.listing = None;
            state.phase = Phase::Stopped;
        });
    }

    pub(crate) fn nudge(&self) {
        self.nudge.notify_one();
    }

    pub(crate) fn live(&self) -> Option<Live> {
        self.state.lock().live.clone()
    }

    pub(crate) fn listing(&self) -> Option<Arc<Listing>> {
        self.state.lock().listing.clone()
    }

    pub(crate) fn health(&self) -> Health {
        match &self.state.lock().phase {
            Phase::Starting => Health::Starting,
            Phase::Ready => Health::Ready,
            Phase::Stopped => Health::Stopped,
            Phase::Failed { reason, next_try } => Health::Failed {
                reason: reason.clone(),
                next_try: next_try.saturating_duration_since(Instant::now()),
            },
        }
    }

    pub(crate) fn status(&self) -> Status {
        let health = self.health();
        let state = self.state.lock();
        let listing = state.listing.as_deref();
        Status {
            server: self.name.clone(),
            health,
            approved: listing.map_or(0, |listing| listing.approved().count()),
            pending: listing.map_or(0, |listing| listing.pending().count()),
            set_aside: listing.map(|it| it.set_aside.clone()).unwrap_or_default(),
            restarts: state.restarts,
            version: state.version.clone(),
            stderr: self.tail.lines(),
        }
    }

    /// Judges what the server lists by what is approved, and remembers both.
    pub(crate) async fn judge(
        &self,
        seen: Vec<Definition>,
        set_aside: Vec<String>,
    ) -> Result<(), String> {
        let _one = self.pinning.lock().await;
        let unread = |why| format!("its approvals could not be read: {why}");
        let known = self
            .pins
            .load(&self.name)
            .await
            .map_err(unread)?
            .map(by_name);
        let fresh = first_use(self.config.approve, known.as_ref(), &seen);
        let known = match known {
            Some(known) => known,
            None if self.config.approve == config::Approval::Pinned => {
                let fresh: Vec<Known> = fresh.iter().cloned().map(Known::of).collect();
                let unkept = |why| format!("its approvals could not be kept: {why}");
                self.pins.store(&self.name, &fresh).await.map_err(unkept)?;
                by_name(fresh)
            }
            None => BTreeMap::new(),
        };
        let listing = Listing::of(&self.name, seen, &known, set_aside);
        for (_, entry, _) in listing.pending() {
            tracing::info!(server = %self.name, tool = %entry.definition.name, "an MCP tool waits for approval");
        }
        self.change(|state| state.listing = Some(Arc::new(listing)));
        Ok(())
    }

    /// Approves `tool` as `pin` says it is.
    pub(crate) async fn approve(&self, tool: &str, pin: &Pin) -> Result<(), Error> {
        let _one = self.pinning.lock().await;
        let bad = |reason| Error::Pins {
            server: self.name.clone(),
            reason,
        };
        let mut known = self
            .pins
            .load(&self.name)
            .await
            .map_err(bad)?
            .map(by_name)
            .unwrap_or_default();
        // Looked up last: nothing waits between this and the decision but the store.
        let listing = self.listing();
        let entry = listing.as_ref().and_then(|listing| listing.by_tool(tool));
        let entry = entry.ok_or_else(|| Error::UnknownTool {
            server: self.name.clone(),
            tool: tool.to_owned(),
        })?;
        if entry.pin != *pin {
            return Err(Error::Moved {
                server: self.name.clone(),
                tool: tool.to_owned(),
                now: entry.pin.clone(),
            });
        }
        known.insert(tool.to_owned(), Known::of(entry.definition.clone()));
        let all: Vec<Known> = known.values().cloned().collect();
        self.pins.store(&self.name, &all).await.map_err(bad)?;
        self.change(|state| {
            if let Some(listing) = &mut state.listing {
                *listing = Arc::new(listing.judged(&self.name, &known));
            }
        });
        Ok(())
    }
}

fn by_name(known: Vec<Known>) -> BTreeMap<String, Known> {
    let entries = known.into_iter();
    entries
        .map(|known| (known.definition.name.clone(), known))
        .collect()
}
