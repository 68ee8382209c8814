//! Wiring: every channel is read, and the read side is served.

use std::sync::Arc;

use async_trait::async_trait;
use nexus_contracts::principal::Principal;
use nexus_contracts::settings::Settings;
use nexus_contracts::{channels, tables};
use nexus_service_kit::{
    ConsumerSpec, Deps, Service, ServiceError, Started, TableView, consume_batches,
};

use crate::api::{Api, router};
use crate::config::Config;
use crate::handler::Recording;
use crate::migrations::MIGRATIONS;
use crate::{keep, writer};

/// The service's name: its group, its configuration section and its database.
pub const NAME: &str = "recorder";

/// The client whose channels carry no name.
const LOCAL_CLIENT: &str = "local";

struct Recorder {
    config: Config,
}

/// The recorder.
#[must_use]
pub fn service(config: Config) -> Box<dyn Service> {
    Box::new(Recorder { config })
}

#[async_trait]
impl Service for Recorder {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError> {
        let store = deps.stores.open(NAME, MIGRATIONS).await?;
        let principals: TableView<Principal> = TableView::watch(deps, tables::PRINCIPALS).await;
        let settings: TableView<Settings> = TableView::watch(deps, tables::SETTINGS).await;
        let intake = writer::start(deps, store.clone(), self.config.batch);
        let mut consumes = Vec::new();
        for (channel, client) in self.channels() {
            let handler = Recording {
                client,
                principals: principals.clone(),
                intake: intake.clone(),
                clock: deps.clock.clone(),
            };
            let spec = ConsumerSpec {
                permits: self.config.permits,
                lease: self.config.lease,
                ..ConsumerSpec::new(&channel, NAME)
            };
            consume_batches(deps, spec, Arc::new(handler));
            consumes.push(channel);
        }
        deps.tasks.spawn(
            "recorder.keep",
            keep::run(deps.clone(), store.clone(), settings, self.config.retention),
        );
        let routes = router(Api { store, principals });
        Ok(Started {
            routes: Some(routes),
            consumes,
            permits: self.config.permits,
            ..Started::default()
        })
    }
}

impl Recorder {
    /// Every channel, and whose principal owns what an external client writes on it.
    fn channels(&self) -> Vec<(String, Option<String>)> {
        let mut list: Vec<(String, Option<String>)> = [
            channels::INFERENCE_REQUEST,
            channels::INFERENCE_RESPONSE,
            channels::USAGE,
            channels::TOOLS_EXECUTE,
            channels::TOOLS_RESULTS,
            channels::CONVERSATIONS,
            channels::RECEIPTS,
        ]
        .map(|channel| (channel.to_owned(), None))
        .to_vec();
        for adapter in &self.config.adapters {
            list.push((channels::incoming(adapter), None));
            list.push((channels::processed(adapter), None));
        }
        for client in &self.config.clients {
            let name = if client == LOCAL_CLIENT { "" } else { client };
            list.push((channels::incoming(name), Some(format!("client:{client}"))));
            list.push((channels::processed(name), None));
        }
        list
    }
}
