//! Wiring: checks the models, opens the ledger, loads and warms up, then consumes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::channels::{self, INFERENCE_LOCAL};
use nexus_contracts::tables;
use nexus_service_kit::{
    ConsumerSpec, Deps, Service, ServiceError, Started, TableView, consume_batches, consume_each,
};
use nexus_store::Ledger;

use crate::config::Config;
use crate::engine::Engine;
use crate::handler::Worker;
use crate::keeper::Keeper;
use crate::models::Models;

/// The name of this service: of its section, its consumer group, its database.
pub const NAME: &str = "inference-worker";

/// How often results that nobody can ask for any more are dropped.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

/// The inference worker.
pub struct InferenceWorker {
    config: Config,
}

/// The inference worker with this configuration.
#[must_use]
pub fn service(config: Config) -> Box<dyn Service> {
    Box::new(InferenceWorker { config })
}

#[async_trait]
impl Service for InferenceWorker {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError> {
        let config = self.config.clone();
        config.check()?;
        for (name, model) in &config.models {
            Engine::check(name, model)?;
        }
        let permits = config.permits();
        let store = deps.stores.open(NAME, Ledger::MIGRATIONS).await?;
        let ledger = Ledger::new(store);
        deps.tasks
            .spawn("prune", prune(deps.clone(), ledger.clone()));
        let keeper = Keeper {
            ledger: ledger.clone(),
            clock: deps.clock.clone(),
        };
        let spec = ConsumerSpec {
            lease: config.lease,
            ..ConsumerSpec::new(channels::CONVERSATIONS, NAME)
        };
        consume_batches(deps, spec, Arc::new(keeper));
        // Said before this returns, so that the worker is never ready without its models.
        deps.health
            .component(MODELS)
            .failing("the models are being loaded");
        deps.tasks
            .spawn("models", run(deps.clone(), config, ledger));
        Ok(Started {
            consumes: [INFERENCE_LOCAL, channels::CONVERSATIONS]
                .map(str::to_owned)
                .to_vec(),
            unread: vec![channels::INFERENCE_LOCAL_RESULTS.to_owned()],
            permits,
            ..Started::default()
        })
    }
}

/// The component that is ready when the models are.
const MODELS: &str = "models";

/// Loads the models; only then takes commands.
async fn run(deps: Deps, config: Config, ledger: Ledger) {
    let health = deps.health.component(MODELS);
    let telling = health.clone();
    let loading = Models::load(&config, &deps.tasks, move |name| {
        telling.failing(format!("model `{name}` is being loaded"));
    });
    let models = match deps.shutdown.run_until_cancelled(loading).await {
        Some(Ok(models)) => models,
        Some(Err(error)) => return deps.tasks.fail(error.to_string()),
        None => return,
    };
    let spec = ConsumerSpec {
        permits: config.permits(),
        lease: config.lease,
        max_attempts: config.max_attempts,
        ..ConsumerSpec::new(INFERENCE_LOCAL, NAME)
    };
    let worker = Worker {
        models,
        ledger,
        bus: deps.bus.clone(),
        clock: deps.clock.clone(),
        cancelled: TableView::watch(&deps, tables::RUNS_CANCELLED).await,
        config,
    };
    consume_each(&deps, spec, Arc::new(worker));
    health.ok();
}

async fn prune(deps: Deps, ledger: Ledger) {
    loop {
        let pause = tokio::time::sleep(PRUNE_EVERY);
        if deps.shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
        if let Err(error) = ledger.prune(deps.clock.now()).await {
            tracing::warn!(%error, "old results could not be dropped; later again");
        }
    }
}
