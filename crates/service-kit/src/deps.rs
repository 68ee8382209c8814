//! What a service is given. Nothing is global.

use std::time::Duration;

use nexus_bus::Bus;
use tokio_util::sync::CancellationToken;

use crate::{Clock, Health, Stores, Tasks};

/// Everything a service works with. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    /// Channels, tables, live streams, blobs.
    pub bus: Bus,
    /// The time and new ids.
    pub clock: Clock,
    /// Where background work is started.
    pub tasks: Tasks,
    /// Where components say how they are.
    pub health: Health,
    /// Cancelled when the node is to stop: receive nothing more, finish what was begun.
    pub shutdown: CancellationToken,
    /// This worker; unique per process start.
    pub worker: String,
    /// The databases.
    pub stores: Stores,
}

impl Deps {
    /// Deps of their own, without a node: for tests and tools.
    #[must_use]
    pub fn new(bus: Bus, clock: Clock, stores: Stores) -> Self {
        Self::of_node(bus, clock, stores, Health::default())
    }

    /// The deps of a node, whose probes already show this health.
    pub(crate) fn of_node(bus: Bus, clock: Clock, stores: Stores, health: Health) -> Self {
        let shutdown = CancellationToken::new();
        let worker = worker_id(&clock);
        let tasks = Tasks::new(health.clone(), shutdown.clone());
        Self {
            bus,
            clock,
            tasks,
            health,
            shutdown,
            worker,
            stores,
        }
    }

    /// Stops what was started on these deps: everything in flight has `grace` to finish, the rest
    /// is given back.
    pub async fn stop(&self, grace: Duration) {
        self.shutdown.cancel();
        if tokio::time::timeout(grace, self.tasks.finished())
            .await
            .is_err()
        {
            self.tasks.abandoned().cancel();
            if tokio::time::timeout(RELEASE_TIME, self.tasks.finished())
                .await
                .is_err()
            {
                tracing::warn!("some tasks did not end in time and were left behind");
            }
        }
    }
}

/// How long tasks have, after the grace, to give back what they hold.
const RELEASE_TIME: Duration = Duration::from_secs(2);

fn worker_id(clock: &Clock) -> String {
    let id = clock.new_id().simple().to_string();
    let tail = id.get(20..).unwrap_or(&id);
    format!("{}-{}-{tail}", host_name(), std::process::id())
}

/// The machine's name, reduced to what every bus accepts in a consumer's name.
pub(crate) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let fits = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '-'
        }
    };
    let name: String = name.trim().chars().take(40).map(fits).collect();
    if name.is_empty() {
        "host".to_owned()
    } else {
        name
    }
}
