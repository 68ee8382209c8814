//! The databases of a node: one per service, opened by the service with its own migrations.

use std::sync::Arc;
use std::time::Duration;

use nexus_store::{Schema, Store, StoreConfig, StoreError, StoreUrl};
use parking_lot::Mutex;

use crate::outage::Outage;
use crate::{Clock, Health, HealthHandle};

/// How long a store has to come free.
const CLOSING: Duration = Duration::from_secs(2);

/// Opens stores, and closes them with the node. Cheap to clone.
#[derive(Clone)]
pub struct Stores {
    config: Arc<StoreConfig>,
    health: Health,
    open: Arc<Mutex<Vec<(Store, HealthHandle)>>>,
}

impl Stores {
    /// Stores at this address; `sqlite:<folder>`, `sqlite::memory:` or `postgres://…`.
    ///
    /// # Errors
    /// [`StoreError::Url`] when it is none of these.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self::with(url.parse()?))
    }

    /// Stores opened like this.
    #[must_use]
    pub fn with(config: StoreConfig) -> Self {
        Self {
            config: Arc::new(config),
            health: Health::default(),
            open: Arc::default(),
        }
    }

    /// The same, telling `health` about a database that is away.
    pub(crate) fn reporting_to(self, health: Health) -> Self {
        Self { health, ..self }
    }

    /// The address; shown without its password.
    #[must_use]
    pub fn url(&self) -> &StoreUrl {
        &self.config.url
    }

    /// Opens the database of a service and brings it up to date. While the database is away this
    /// keeps trying, and `/readyz` says so.
    ///
    /// # Errors
    /// What trying again does not help.
    pub async fn open(
        &self,
        service: &'static str,
        schema: impl Into<Schema>,
    ) -> Result<Store, StoreError> {
        let schema = schema.into();
        let component = self.health.component(format!("store:{service}"));
        let what = format!("opening the database of {service}");
        let mut outage = Outage::new(&Clock::system(), what).shown_in(component.clone());
        loop {
            match Store::open(&self.config, service, schema).await {
                Ok(store) => {
                    outage.worked();
                    self.open.lock().push((store.clone(), component));
                    return Ok(store);
                }
                Err(error) if error.is_transient() => {
                    tokio::time::sleep(outage.failed(&error)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks every store whether it answers and keeps what it is given; `/readyz` says so.
    pub(crate) async fn ping(&self) {
        let open = self.open.lock().clone();
        for (store, component) in open {
            match store.ping().await {
                Ok(()) => component.ok(),
                Err(error) => component.failing(error.to_string()),
            }
        }
    }

    /// Closes what was opened; what was committed is on disk.
    pub(crate) async fn close(&self) {
        let open = std::mem::take(&mut *self.open.lock());
        for (store, _) in open {
            let closed = tokio::time::timeout(CLOSING, store.close()).await;
            if closed.is_err() {
                let service = store.service();
                tracing::warn!(service, "a store is still in use and was left open");
            }
        }
    }
}
