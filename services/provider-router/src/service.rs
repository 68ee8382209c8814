//! Wiring: reads the providers, opens the ledger, announces, consumes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_bus::Expect;
use nexus_contracts::live::Cancelled;
use nexus_contracts::{channels, tables};
use nexus_service_kit::{
    ConfigSource, ConsumerSpec, Deps, Service, ServiceError, Started, TableView, consume_batches,
    consume_each,
};
use nexus_store::Ledger;

use crate::announce;
use crate::config::Config;
use crate::error::Error;
use crate::handler::Router;
use crate::handler::cached::Meanings;
use crate::health::{self, Health};
use crate::inbox;
use crate::keeper::Keeper;
use crate::limits::shared::SharedLimits;
use crate::provider::Reach;
use crate::registry::Registry;
use crate::registry::file::ProvidersFile;
use crate::reload::Reload;

/// The name of this service: of its section, its consumer group, its database.
pub const NAME: &str = "provider-router";

/// How often results that nobody can ask for any more are dropped.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

/// The provider router.
pub struct ProviderRouter {
    config: Config,
}

/// The provider router with this configuration.
#[must_use]
pub fn service(config: Config) -> Box<dyn Service> {
    Box::new(ProviderRouter { config })
}

/// The providers this configuration names, with their keys from the environment.
///
/// # Errors
/// [`Error`] when the file cannot be used; a missing key is none.
pub fn registry(config: &Config) -> Result<Registry, Error> {
    let file = ProvidersFile::load(config.providers_file.as_deref())?;
    Registry::build(&file, &ConfigSource::env_secret)
}

#[async_trait]
impl Service for ProviderRouter {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError> {
        let config = self.config.clone();
        let (reload, providers) =
            Reload::of_file(config.providers_file.clone(), Some(Reach::of(deps)))?;
        let store = deps.stores.open(NAME, Ledger::MIGRATIONS).await?;
        let ledger = Ledger::new(store);
        announce::log(&providers.get());
        deps.tasks
            .spawn("announce", announce::keep(deps.clone(), providers.clone()));
        let every = config.reload_every;
        deps.tasks.spawn("reload", reload.keep(deps.clone(), every));
        deps.tasks
            .spawn("prune", prune(deps.clone(), ledger.clone()));
        let meanings = Meanings::new(config.cache.vectors, rand::random());
        let keeper = Keeper {
            ledger: ledger.clone(),
            meanings: meanings.clone(),
            bus: deps.bus.clone(),
            clock: deps.clock.clone(),
        };
        deps.tasks.spawn("inbox", inbox::keep(deps.clone()));
        let spec = ConsumerSpec {
            lease: config.lease,
            ..ConsumerSpec::new(channels::CONVERSATIONS, NAME)
        };
        consume_batches(deps, spec, Arc::new(keeper));
        let health = Arc::new(Health::default());
        let limits = Arc::new(SharedLimits::new(deps.bus.clone(), deps.clock.clone()));
        let telling = health::announce::keep(
            deps.clone(),
            Arc::clone(&health),
            Arc::clone(&limits),
            providers.clone(),
        );
        deps.tasks.spawn("health", telling);
        let router = Router {
            providers,
            ledger,
            bus: deps.bus.clone(),
            clock: deps.clock.clone(),
            health,
            limits,
            cancelled: TableView::watch(deps, tables::RUNS_CANCELLED).await,
            meanings,
            config: config.clone(),
        };
        let spec = ConsumerSpec {
            permits: config.permits,
            lease: config.lease,
            max_attempts: config.max_attempts,
            ..ConsumerSpec::new(channels::INFERENCE_REQUEST, NAME)
        };
        consume_each(deps, spec, Arc::new(router));
        Ok(Started {
            routes: Some(inbox::router(inbox::Api::of(deps).await)),
            consumes: [channels::INFERENCE_REQUEST, channels::CONVERSATIONS]
                .map(str::to_owned)
                .to_vec(),
            unread: vec![channels::EMBEDDING_RESPONSE.to_owned()],
            permits: config.permits,
        })
    }
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
        forget_cancelled(&deps).await;
    }
}

/// Drops the cancellations of runs that are over. Those of calls of a local model have nobody else who
/// would.
async fn forget_cancelled(deps: &Deps) {
    let Ok(entries) = deps.bus.table_list(tables::RUNS_CANCELLED).await else {
        return;
    };
    let now = deps.clock.now();
    for entry in entries {
        let until = serde_json::from_slice::<Cancelled>(&entry.value).map(|one| one.until);
        if until.is_ok_and(|until| until < now) {
            let (key, expect) = (&entry.key, Expect::Version(entry.version));
            // Somebody else was quicker, or the next time does it.
            drop(
                deps.bus
                    .table_delete(tables::RUNS_CANCELLED, key, expect)
                    .await,
            );
        }
    }
}
