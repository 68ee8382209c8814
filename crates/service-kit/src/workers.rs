//! Who is alive: every worker announces itself in the table `workers`.

use std::net::SocketAddr;
use std::time::Duration;

use nexus_bus::{Bus, Expect};
use nexus_contracts::{Timestamp, tables};
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::{ComponentState, Deps, put_table};

/// How often a worker announces itself.
const EVERY: Duration = Duration::from_secs(5);

/// A worker that was silent for this long is gone; whoever starts next removes its entry.
const GONE_AFTER_MS: i64 = 60 * 60 * 1000;

/// Value of the table `workers`; the key is `worker`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Unique per process start.
    pub worker: String,
    /// Of the program.
    pub version: String,
    /// The services it runs.
    pub services: Vec<String>,
    /// The channels they read.
    pub consumes: Vec<String>,
    /// How many messages they work on at once.
    pub permits: usize,
    /// Whether every component does its work.
    pub ready: bool,
    /// The components.
    pub health: Vec<ComponentState>,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last announced itself. Silent for more than three times 5 s, it is not alive.
    pub seen_at: Timestamp,
    /// Where its services listen.
    pub http: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub admin: SocketAddr,
}

/// Announces the worker until the node stops, then takes its entry away.
pub(crate) async fn announce(deps: Deps, mut info: WorkerInfo) {
    let mut pace = Backoff::of_loop(&deps.clock);
    forget_the_gone(&deps.bus, deps.clock.now()).await;
    let mut turns = deps.health.turns();
    loop {
        turns.mark_unchanged();
        say(&deps, &mut info).await;
        let pause = tokio::time::timeout(pace.jittered(EVERY), turns.changed());
        if deps.shutdown.run_until_cancelled(pause).await.is_none() {
            break;
        }
    }
    // Where this fails the entry stays, and readers judge it by its time.
    drop(
        deps.bus
            .table_delete(tables::WORKERS, &info.worker, Expect::Any)
            .await,
    );
}

async fn say(deps: &Deps, info: &mut WorkerInfo) {
    info.seen_at = deps.clock.now();
    info.ready = deps.health.is_ready();
    info.health = deps.health.components();
    if let Err(error) = put_table(&deps.bus, tables::WORKERS, &info.worker, info).await {
        tracing::debug!(%error, "this worker could not announce itself");
    }
}

async fn forget_the_gone(bus: &Bus, now: Timestamp) {
    let Ok(entries) = bus.table_list(tables::WORKERS).await else {
        return;
    };
    for entry in entries {
        let seen = serde_json::from_slice::<WorkerInfo>(&entry.value).map(|info| info.seen_at);
        let gone = |seen: Timestamp| now.as_millis() - seen.as_millis() > GONE_AFTER_MS;
        if seen.is_ok_and(gone) {
            let expect = Expect::Version(entry.version);
            drop(bus.table_delete(tables::WORKERS, &entry.key, expect).await);
        }
    }
}
