//! Wiring: the channel that is read, and what runs beside it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::{channels, tables};
use nexus_mcp::Fleet;
use nexus_retrieval::Retrieval;
use nexus_service_kit::backoff::Backoff;
use nexus_service_kit::{
    ConsumerSpec, Deps, Service, ServiceError, Started, TableView, consume_batches, consume_each,
};
use nexus_store::ledger::MAX_RESULT_BYTES;
use nexus_store::{Ledger, Store};

use crate::api::{self, Api, Shelf};
use crate::handler::Executor;
use crate::health::{Health, announce};
use crate::keeper::Keeper;
use crate::knowledge::Knowledge;
use crate::mcp;
use crate::migrations::{MIGRATIONS, SET};
use crate::parts::Parts;
use crate::publisher::Publisher;
use crate::quota::Quotas;
use crate::registry::catalogue;
use crate::switches::Switches;
use crate::tool::AnyTool;
use crate::{Config, Error, Registry};

/// The service's name: its group, its configuration section and its database.
pub const NAME: &str = "tool-executor";

/// How often results nobody asks for any more are dropped.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

/// How often, and how many chunks of an organisation at a time, vectors are made of what has none.
const BACKFILL_EVERY: Duration = Duration::from_mins(1);
const BACKFILL: usize = 256;

/// Makes the tools of this process.
type Made = Box<dyn Fn(&Parts) -> Vec<Arc<dyn AnyTool>> + Send + Sync>;

struct ToolExecutor {
    config: Arc<Config>,
    tools: Made,
}

/// The tool executor with the tools that come with Nexus.
#[must_use]
pub fn service(config: Config) -> Box<dyn Service> {
    service_with(config, catalogue)
}

/// The tool executor with tools of one's own.
#[must_use]
pub fn service_with(
    config: Config,
    tools: impl Fn(&Parts) -> Vec<Arc<dyn AnyTool>> + Send + Sync + 'static,
) -> Box<dyn Service> {
    Box::new(ToolExecutor {
        config: Arc::new(config),
        tools: Box::new(tools),
    })
}

#[async_trait]
impl Service for ToolExecutor {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError> {
        self.check()?;
        let store = deps.stores.open(NAME, Ledger::MIGRATIONS).await?;
        store.migrate(SET, MIGRATIONS).await?;
        store.migrate("retrieval", Retrieval::MIGRATIONS).await?;
        let parts = Parts::new(deps, &self.config, store)?;
        let registry = Registry::new((self.tools)(&parts), &self.config)?;
        let executor = Arc::new(executor(&parts, registry).await);
        let registry = Arc::clone(&executor.registry);
        let fleet = mcp::start(deps, &self.config, parts.store.clone(), registry).await?;
        keep_tables(&parts, &executor, &fleet);
        consume(&parts, &executor);
        let api = Api {
            executor,
            fleet,
            knowledge: Shelf {
                all: parts.knowledge.clone(),
                reader: parts.web.reader.clone(),
            },
            deps: deps.clone(),
            principals: TableView::watch(deps, tables::PRINCIPALS).await,
        };
        Ok(Started {
            routes: Some(api::router(api)),
            consumes: [channels::TOOLS_EXECUTE, channels::CONVERSATIONS]
                .map(str::to_owned)
                .to_vec(),
            permits: self.config.permits,
            ..Started::default()
        })
    }
}

async fn executor(parts: &Parts, registry: Registry) -> Executor {
    let Parts { deps, config, .. } = parts;
    Executor {
        registry: Arc::new(registry),
        switches: Switches::new(parts.store.clone(), deps.bus.clone()),
        health: Arc::new(Health::new(config.breaker)),
        quotas: Quotas::new(parts.store.clone(), config.quotas.clone()),
        artefacts: parts.artefacts.clone(),
        ledger: parts.ledger.clone(),
        cancelled: TableView::watch(deps, tables::RUNS_CANCELLED).await,
        bus: deps.bus.clone(),
        clock: deps.clock.clone(),
        config: Arc::clone(config),
    }
}

/// What others read of this service, kept right.
fn keep_tables(parts: &Parts, executor: &Executor, fleet: &Fleet) {
    let deps = &parts.deps;
    let publisher = Publisher::new(deps, &executor.registry, fleet);
    deps.tasks
        .spawn("tools.publish", publisher.run(deps.clone()));
    let relisted = Arc::clone(&executor.registry).follow(parts.relist.subscribe());
    let shutdown = deps.shutdown.clone();
    deps.tasks.spawn("tools.relist", async move {
        shutdown.run_until_cancelled(relisted).await;
    });
    deps.tasks.spawn(
        "tools.switches",
        executor.switches.clone().run(deps.clone()),
    );
    let health = Arc::clone(&executor.health);
    deps.tasks
        .spawn("tools.health", announce::keep(deps.clone(), health));
    deps.tasks
        .spawn("tools.prune", prune(deps.clone(), parts.ledger.clone()));
    if parts.config.knowledge.embeddings.enabled {
        let (knowledge, store) = (parts.knowledge.clone(), parts.store.clone());
        deps.tasks
            .spawn("tools.backfill", backfill(deps.clone(), knowledge, store));
    }
}

fn consume(parts: &Parts, executor: &Arc<Executor>) {
    let Parts { deps, config, .. } = parts;
    let keeper = Keeper {
        ledger: parts.ledger.clone(),
        switches: executor.switches.clone(),
        memory: parts.knowledge.memory(),
        clock: deps.clock.clone(),
    };
    let spec = ConsumerSpec {
        lease: config.lease,
        ..ConsumerSpec::new(channels::CONVERSATIONS, NAME)
    };
    consume_batches(deps, spec, Arc::new(keeper));
    let spec = ConsumerSpec {
        permits: config.permits,
        lease: config.lease,
        ..ConsumerSpec::new(channels::TOOLS_EXECUTE, NAME)
    };
    consume_each(deps, spec, Arc::clone(executor));
}

impl ToolExecutor {
    fn check(&self) -> Result<(), Error> {
        let bad = |key, expected| Err(Error::BadNumber { key, expected });
        if self.config.permits == 0 {
            return bad("permits", "at least 1");
        }
        if self.config.lease < Duration::from_secs(1) {
            return bad("lease", "at least 1s");
        }
        if self.config.output_limit < 256 {
            return bad("output_limit", "at least 256 bytes");
        }
        // Results are written many at a time.
        if self.config.keep_bytes > MAX_RESULT_BYTES {
            return bad("keep_bytes", "at most 8388608 bytes");
        }
        Ok(())
    }
}

/// Makes vectors of what has none yet: documents that came while nobody made any.
async fn backfill(deps: Deps, knowledge: Knowledge, store: Store) {
    let mut pauses = Backoff::of_loop(&deps.clock);
    loop {
        let pause = tokio::time::sleep(pauses.jittered(BACKFILL_EVERY));
        if deps.shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
        let filled = deps
            .shutdown
            .run_until_cancelled(knowledge.backfill(&store, BACKFILL));
        if let Some(Err(error)) = filled.await {
            tracing::warn!(%error, "vectors could not be made; they are next time");
        }
    }
}

async fn prune(deps: Deps, ledger: Ledger) {
    let mut pauses = Backoff::of_loop(&deps.clock);
    loop {
        let pause = tokio::time::sleep(pauses.jittered(PRUNE_EVERY));
        if deps.shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
        if let Err(error) = ledger.prune(deps.clock.now()).await {
            tracing::warn!(%error, "old results could not be dropped; they stay until next time");
        }
    }
}
