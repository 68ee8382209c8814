//! A node: any number of services in one process. One service or all of them, it is the same code.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use nexus_bus::{Bus, BusConfig};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::backoff::Backoff;
use crate::http::{Listening, Mounted, admin_routes, bind, serve};
use crate::outage::Outage;
use crate::workers::{WorkerInfo, announce};
use crate::{
    Clock, ConfigError, Deps, Health, HealthHandle, NodeConfig, NodeError, Service, Started,
    Stores, host_name, janitor, telemetry,
};

/// How often the bus is asked whether it answers.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Starts nodes.
#[derive(Clone, Copy, Debug)]
pub struct Node;

impl Node {
    /// Starts services. Everything is checked before a port is bound, and both ports are bound
    /// before anything else begins.
    ///
    /// Returns when every service has started. A bus or database that is away does not fail the
    /// start: `/readyz` says so and the node keeps trying. Dropping the future ends what it began.
    ///
    /// # Errors
    /// A configuration that cannot be used, an address in use, or what keeps a service from
    /// starting at all.
    pub async fn start(
        config: NodeConfig,
        services: Vec<Box<dyn Service>>,
    ) -> Result<RunningNode, NodeError> {
        config.check(|key, reason| ConfigError::invalid(key, reason))?;
        let stores = Stores::with(config.store_config()?);
        telemetry::install_metrics();
        let http = bind(config.http.listen, "http.listen").await?;
        let admin = bind(config.admin.listen, "admin.listen").await?;

        let (health, mounted) = (Health::default(), Mounted::default());
        let node_health = health.component("node");
        node_health.failing("starting");
        let mut servers = Servers::default();
        let addresses = (http.address, admin.address);
        servers.start(
            http,
            mounted.clone().router(),
            admin,
            admin_routes(health.clone()),
        );

        let bus = connect(&config.bus, &health).await?;
        let stores = stores.reporting_to(health.clone());
        let deps = Deps::of_node(bus, Clock::system(), stores, health);
        // Ends the loops of services that have started when another one cannot, or when the
        // caller gives up waiting.
        let guard = deps.shutdown.clone().drop_guard();
        let started = start_services(&deps, &services).await?;
        let offered = Offered::of(started)?;
        mounted.mount(offered.routes, config.http.body_limit);

        deps.tasks.spawn("bus-ping", ping(deps.clone()));
        let janitor = janitor::run(
            deps.clone(),
            config.retention.clone(),
            &offered.consumes | &offered.unread,
        );
        deps.tasks.spawn("janitor", janitor);
        let info = worker_info(
            &deps,
            &services,
            addresses,
            &offered.consumes,
            offered.permits,
        );
        // Before the first announcement, which would otherwise say "starting" for five seconds.
        node_health.ok();
        deps.tasks.spawn("workers", announce(deps.clone(), info));
        Ok(RunningNode {
            addresses,
            deps,
            servers,
            node_health,
            grace: config.grace,
            guard,
        })
    }
}

#[cfg(test)]
mod tests;

/// A node at work. Dropped, it ends without grace.
pub struct RunningNode {
    addresses: (SocketAddr, SocketAddr),
    deps: Deps,
    servers: Servers,
    node_health: HealthHandle,
    grace: Duration,
    guard: DropGuard,
}

impl RunningNode {
    /// Where the services listen.
    #[must_use]
    pub const fn http_address(&self) -> SocketAddr {
        self.addresses.0
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.addresses.1
    }

    /// The bus.
    #[must_use]
    pub const fn bus(&self) -> &Bus {
        &self.deps.bus
    }

    /// What the services work with.
    #[must_use]
    pub const fn deps(&self) -> &Deps {
        &self.deps
    }

    /// Asks the node to stop. Wait for it with [`RunningNode::stopped`].
    pub fn shutdown(&self) {
        self.deps.shutdown.cancel();
    }

    /// Waits until the node was asked to stop, or has to, and everything has ended: receiving
    /// stops, what is in flight has the grace to finish, the rest is given back, the bus is closed.
    ///
    /// # Errors
    /// [`NodeError::Fatal`] when a service ended the node.
    pub async fn stopped(mut self) -> Result<(), NodeError> {
        self.deps.shutdown.cancelled().await;
        self.node_health.failing("shutting down");
        self.servers.http_stop.cancel();
        tokio::join!(
            self.deps.stop(self.grace),
            self.servers.http_finished(self.grace)
        );
        self.deps.stores.close().await;
        self.deps.bus.close().await;
        self.servers.admin_stop.cancel();
        drop(self.guard);
        match self.deps.tasks.failure() {
            Some(reason) => Err(NodeError::Fatal(reason)),
            None => Ok(()),
        }
    }
}

/// Both listeners. Dropped, they are cut off.
#[derive(Default)]
struct Servers {
    http: JoinSet<()>,
    admin: JoinSet<()>,
    http_stop: CancellationToken,
    admin_stop: CancellationToken,
}

impl Servers {
    fn start(&mut self, http: Listening, routes: Router, admin: Listening, probes: Router) {
        self.http.spawn(serve(http, routes, self.http_stop.clone()));
        self.admin
            .spawn(serve(admin, probes, self.admin_stop.clone()));
    }

    async fn http_finished(&mut self, grace: Duration) {
        let finished = async { while self.http.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, finished).await.is_err() {
            tracing::info!("some HTTP connections were cut off at the end of the grace");
        }
    }
}

/// What all services together offer.
struct Offered {
    routes: Router,
    consumes: BTreeSet<String>,
    unread: BTreeSet<String>,
    permits: usize,
}

impl Offered {
    fn of(started: Vec<(&'static str, Started)>) -> Result<Self, NodeError> {
        let mut all = Self {
            routes: Router::new(),
            consumes: BTreeSet::new(),
            unread: BTreeSet::new(),
            permits: 0,
        };
        for (service, started) in started {
            all.consumes.extend(started.consumes);
            all.unread.extend(started.unread);
            all.permits += started.permits;
            if let Some(routes) = started.routes {
                // axum panics where two routers claim one path.
                let merged = AssertUnwindSafe(|| all.routes.merge(routes));
                all.routes = std::panic::catch_unwind(merged)
                    .map_err(|_panic| NodeError::Routes { service })?;
            }
        }
        Ok(all)
    }
}

async fn start_services(
    deps: &Deps,
    services: &[Box<dyn Service>],
) -> Result<Vec<(&'static str, Started)>, NodeError> {
    let start = async |service: &dyn Service| {
        let name = service.name();
        match service.start(deps).await {
            Ok(started) => Ok((name, started)),
            Err(source) => Err(NodeError::Service {
                service: name,
                source,
            }),
        }
    };
    futures::future::try_join_all(services.iter().map(|service| start(service.as_ref()))).await
}

/// Opens the bus, and keeps trying while its server is away.
async fn connect(config: &BusConfig, health: &Health) -> Result<Bus, NodeError> {
    let component = health.component("bus");
    let mut outage = Outage::new(&Clock::system(), "connecting to the bus").shown_in(component);
    loop {
        match Bus::connect(config).await {
            Ok(bus) => {
                outage.worked();
                return Ok(bus);
            }
            Err(error) if error.is_transient() => {
                tokio::time::sleep(outage.failed(&error)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Keeps the health of the bus, until the node stops.
async fn ping(deps: Deps) {
    let component = deps.health.component("bus");
    let mut pace = Backoff::of_loop(&deps.clock);
    loop {
        match deps.bus.ping().await {
            Ok(()) => component.ok(),
            Err(error) => component.failing(error.to_string()),
        }
        deps.stores.ping().await;
        telemetry::tidy_metrics();
        let pause = tokio::time::sleep(pace.jittered(PING_EVERY));
        if deps.shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

fn worker_info(
    deps: &Deps,
    services: &[Box<dyn Service>],
    (http, admin): (SocketAddr, SocketAddr),
    consumes: &BTreeSet<String>,
    permits: usize,
) -> WorkerInfo {
    let now = deps.clock.now();
    WorkerInfo {
        worker: deps.worker.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        services: services
            .iter()
            .map(|service| service.name().to_owned())
            .collect(),
        consumes: consumes.iter().cloned().collect(),
        permits,
        ready: false,
        health: Vec::new(),
        host: host_name(),
        pid: std::process::id(),
        started_at: now,
        seen_at: now,
        http,
        admin,
    }
}
