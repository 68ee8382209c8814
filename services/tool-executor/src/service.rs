//! Wiring: the channel that is read, and what runs beside it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::{channels, tables};
use nexus_service_kit::backoff::Backoff;
use nexus_service_kit::{
    ConsumerSpec, Deps, Service, ServiceError, Started, TableView, consume_batches, consume_each,
};
use nexus_store::Ledger;

use crate::handler::Executor;
use crate::keeper::Keeper;
use crate::publisher::Publisher;
use crate::registry::catalogue;
use crate::tool::AnyTool;
use crate::{Config, Error, Registry};

/// The service's name: its group, its configuration section and its database.
pub const NAME: &str = "tool-executor";

/// How often results nobody asks for any more are dropped.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

struct ToolExecutor {
    config: Arc<Config>,
    tools: Vec<Arc<dyn AnyTool>>,
}

/// The tool executor with the tools that come with Nexus.
#[must_use]
pub fn service(config: Config) -> Box<dyn Service> {
    service_with(config, catalogue())
}

/// The tool executor with tools of one's own.
#[must_use]
pub fn service_with(config: Config, tools: Vec<Arc<dyn AnyTool>>) -> Box<dyn Service> {
    Box::new(ToolExecutor {
        config: Arc::new(config),
        tools,
    })
}

#[async_trait]
impl Service for ToolExecutor {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError> {
        let registry = self.registry()?;
        let store = deps.stores.open(NAME, Ledger::MIGRATIONS).await?;
        let ledger = Ledger::new(store);
        let publisher = Publisher::new(deps, &registry);
        deps.tasks
            .spawn("tools.publish", publisher.run(deps.clone()));
        deps.tasks
            .spawn("tools.prune", prune(deps.clone(), ledger.clone()));
        let keeper = Keeper {
            ledger: ledger.clone(),
            clock: deps.clock.clone(),
        };
        let spec = ConsumerSpec {
            lease: self.config.lease,
            ..ConsumerSpec::new(channels::CONVERSATIONS, NAME)
        };
        consume_batches(deps, spec, Arc::new(keeper));
        let executor = Executor {
            registry,
            ledger,
            cancelled: TableView::watch(deps, tables::RUNS_CANCELLED).await,
            bus: deps.bus.clone(),
            clock: deps.clock.clone(),
            config: Arc::clone(&self.config),
        };
        let spec = ConsumerSpec {
            permits: self.config.permits,
            lease: self.config.lease,
            ..ConsumerSpec::new(channels::TOOLS_EXECUTE, NAME)
        };
        consume_each(deps, spec, Arc::new(executor));
        Ok(Started {
            consumes: [channels::TOOLS_EXECUTE, channels::CONVERSATIONS]
                .map(str::to_owned)
                .to_vec(),
            permits: self.config.permits,
            ..Started::default()
        })
    }
}

impl ToolExecutor {
    fn registry(&self) -> Result<Registry, Error> {
        if self.config.permits == 0 {
            return Err(Error::BadNumber {
                key: "permits",
                expected: "at least 1",
            });
        }
        if self.config.lease < Duration::from_secs(1) {
            return Err(Error::BadNumber {
                key: "lease",
                expected: "at least 1s",
            });
        }
        Registry::new(self.tools.clone(), &self.config)
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
