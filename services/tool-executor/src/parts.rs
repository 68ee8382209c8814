//! What tools may be made of.

use std::sync::Arc;

use nexus_service_kit::Deps;
use nexus_store::{Ledger, Store};
use tokio::sync::watch;

use crate::artefacts::Artefacts;
use crate::knowledge::Knowledge;
use crate::web::Web;
use crate::{Config, Error};

/// What the service has, for tools that need some of it.
#[derive(Clone)]
pub struct Parts {
    /// The bus, the clock, tasks.
    pub deps: Deps,
    /// The configuration.
    pub config: Arc<Config>,
    /// This service's database.
    pub store: Store,
    /// What came of calls.
    pub ledger: Ledger,
    /// What calls leave behind.
    pub artefacts: Artefacts,
    /// What is known.
    pub knowledge: Knowledge,
    /// What reaches the web.
    pub web: Web,
    /// Told when a tool is listed otherwise than before, such as one that has become ready.
    pub relist: watch::Sender<()>,
}

impl Parts {
    /// Over this database, which must have the ledger's tables.
    ///
    /// # Errors
    /// When something cannot be used as it is configured.
    pub fn new(deps: &Deps, config: &Arc<Config>, store: Store) -> Result<Self, Error> {
        let ledger = Ledger::new(store.clone());
        Ok(Self {
            knowledge: Knowledge::new(deps, &config.knowledge, store.clone())?,
            web: Web::new(&config.web)?,
            deps: deps.clone(),
            config: Arc::clone(config),
            artefacts: Artefacts::new(ledger.clone(), deps.clock.clone(), Arc::clone(config)),
            store,
            ledger,
            relist: watch::Sender::new(()),
        })
    }
}
