//! Wiring: which channels are read, and what runs beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use nexus_contracts::principal::Principal;
use nexus_contracts::{channels, tables};
use nexus_service_kit::{
    ConsumerSpec, Deps, Service, ServiceError, Started, TableView, consume_batches,
};

use crate::config::{Config, LOCAL_CLIENT};
use crate::db::schema::SCHEMA;
use crate::environment::Environments;
use crate::handler::{Incoming, Results};
use crate::intake::Intake;
use crate::owned::Owned;
use crate::processor::Processor;
use crate::sweeper::Sweeper;

/// The service's name: its group, its configuration section and its database.
pub const NAME: &str = "orchestrator";

struct Orchestrator {
    config: Arc<Config>,
    principals: BTreeMap<String, Principal>,
}

/// The orchestrator. `principals` is what the table `control.principals` must hold: key
/// `client:<name>`.
#[must_use]
pub fn service(config: Config, principals: BTreeMap<String, Principal>) -> Box<dyn Service> {
    Box::new(Orchestrator {
        config: Arc::new(config),
        principals,
    })
}

#[async_trait]
impl Service for Orchestrator {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError> {
        let store = deps.stores.open(NAME, SCHEMA).await?;
        let tools = TableView::watch(deps, tables::TOOLS).await;
        let off = TableView::watch(deps, tables::TOOLS_OFF).await;
        let principals = TableView::watch(deps, tables::PRINCIPALS).await;
        let settings = TableView::watch(deps, tables::SETTINGS).await;
        let written = self.config.settings.by_key();
        let bounds = self.config.bounds();
        let environments = Environments::new(bounds, written, (&tools, &off), &settings);
        let intake = Processor::start(deps, store.clone(), &self.config, environments);
        let sweeper = Sweeper {
            deps: deps.clone(),
            store,
            config: Arc::clone(&self.config),
            intake: intake.clone(),
            owned: Owned {
                principals: (self.principals.clone(), principals.clone()),
                settings: (self.config.settings.by_key(), settings),
            },
        };
        deps.tasks.spawn("orchestrator.sweeper", sweeper.run());
        let mut consumes = self.consume_incoming(deps, &intake, &principals);
        consumes.extend(self.consume_results(deps, &intake));
        Ok(Started {
            consumes,
            permits: self.config.batch,
            ..Started::default()
        })
    }
}

impl Orchestrator {
    fn spec(&self, channel: &str) -> ConsumerSpec {
        ConsumerSpec {
            permits: self.config.batch,
            lease: self.config.lease,
            ..ConsumerSpec::new(channel, NAME)
        }
    }

    fn consume_incoming(
        &self,
        deps: &Deps,
        intake: &Intake,
        principals: &TableView<Principal>,
    ) -> Vec<String> {
        let clients = self.config.clients.iter().map(|client| {
            let name = if client == LOCAL_CLIENT { "" } else { client };
            (name.to_owned(), Some(format!("client:{client}")))
        });
        let adapters = self
            .config
            .adapters
            .iter()
            .map(|adapter| (adapter.clone(), None));
        let mut consumes = Vec::new();
        for (name, principal) in clients.chain(adapters) {
            let channel = channels::incoming(&name);
            let handler = Incoming {
                name,
                principal,
                principals: principals.clone(),
                intake: intake.clone(),
                clock: deps.clock.clone(),
            };
            consume_batches(deps, self.spec(&channel), Arc::new(handler));
            consumes.push(channel);
        }
        consumes
    }

    fn consume_results(&self, deps: &Deps, intake: &Intake) -> Vec<String> {
        let from = [
            channels::INFERENCE_RESPONSE,
            channels::TOOLS_RESULTS,
            channels::RECEIPTS,
        ];
        for channel in from {
            let handler = Results {
                intake: intake.clone(),
                clock: deps.clock.clone(),
            };
            consume_batches(deps, self.spec(channel), Arc::new(handler));
        }
        from.map(str::to_owned).to_vec()
    }
}
