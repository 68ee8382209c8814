//! The store of one service.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::connect::{self, Pool, Pools};
use crate::guard::Guard;
use crate::migrate::Target;
use crate::schema::Schema;
use crate::session::Reach;
use crate::tx::{SharedTx, TenantTx, Tx};
use crate::upkeep::Upkeep;
use crate::{Durability, StoreConfig, StoreError};
use nexus_contracts::OrgId;

/// Which database a store is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A file, or memory.
    Sqlite,
    /// A server.
    Postgres,
}

/// The database of one service. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    service: &'static str,
    kind: StoreKind,
    durability: Durability,
    pools: Pools,
    guard: Arc<Guard>,
    /// Of a file.
    upkeep: Option<Arc<Upkeep>>,
    /// Tables exempt from tenancy, of all sets so far.
    exempt: Mutex<HashSet<&'static str>>,
}

/// The set of a service's own migrations.
const OWN: &str = "own";

impl Store {
    /// Opens the database of a service, brings its tables up to date and protects them.
    ///
    /// # Errors
    /// When the database cannot be reached, was written by a newer program, a migration fails, or
    /// the roles of `PostgreSQL` would not keep organisations apart.
    pub async fn open(
        config: &StoreConfig,
        service: &'static str,
        schema: impl Into<Schema>,
    ) -> Result<Self, StoreError> {
        let pools = connect::open(config, service).await?;
        let kind = pools.write.kind();
        let upkeep = match (&pools.write, &pools.read, pools.file.as_deref()) {
            (Pool::Sqlite(writer), Pool::Sqlite(reader), Some(file)) => {
                let pools = (writer.clone(), reader.clone());
                Some(Arc::new(Upkeep::start(file, config.durability, pools)))
            }
            _ => None,
        };
        let store = Self {
            inner: Arc::new(Inner {
                service,
                kind,
                durability: config.durability,
                guard: Arc::default(),
                upkeep,
                pools,
                exempt: Mutex::default(),
            }),
        };
        store.migrate(OWN, schema).await?;
        Ok(store)
    }

    /// Brings another set of tables up to date, for example that of the [`crate::Ledger`] in the
    /// store of a service that has tables of its own.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn migrate(
        &self,
        set: &'static str,
        schema: impl Into<Schema>,
    ) -> Result<(), StoreError> {
        let (schema, inner) = (schema.into(), &self.inner);
        let exempt = {
            let mut exempt = inner.exempt.lock().unwrap_or_else(PoisonError::into_inner);
            exempt.extend(schema.exempt);
            exempt.clone()
        };
        let target = Target {
            service: inner.service,
            kind: inner.kind,
            roles: inner.pools.roles.as_ref(),
            write: &inner.pools.write,
            exempt: &exempt,
        };
        let tenants = target.run(set, schema).await?;
        inner.guard.protect(tenants);
        Ok(())
    }

    /// Which database this is.
    #[must_use]
    pub fn kind(&self) -> StoreKind {
        self.inner.kind
    }

    /// How much of what it commits survives which end.
    pub(crate) fn durability(&self) -> Durability {
        self.inner.durability
    }

    /// The service whose store this is.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.inner.service
    }

    /// Begins a transaction that writes, under an organisation. `SQLite` has one at a time. The
    /// database hears of it with the first statement.
    ///
    /// # Errors
    /// When no connection is free for half a minute (`PostgreSQL`: 5 s), or none can be made.
    pub async fn begin(&self, org: OrgId) -> Result<TenantTx, StoreError> {
        Ok(TenantTx::new(
            self.begin_on(&self.inner.pools.write, Reach::Any).await?,
            org,
        ))
    }

    /// Begins a transaction that only reads, under an organisation; every statement sees the same
    /// state. It does not wait for writers, except in memory, where there is one connection.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub async fn read(&self, org: OrgId) -> Result<TenantTx, StoreError> {
        Ok(TenantTx::new(
            self.begin_on(&self.inner.pools.read, Reach::Any).await?,
            org,
        ))
    }

    /// Begins a transaction that writes for many organisations.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub async fn begin_shared(&self) -> Result<SharedTx, StoreError> {
        Ok(SharedTx::new(
            self.begin_on(&self.inner.pools.write, Reach::Any).await?,
        ))
    }

    /// As [`Store::begin_shared`], where each statement is about few rows that are found by their
    /// keys. A few of those are run by `SQLite` where they are asked: a thread for blocking work
    /// would take longer to wake than they take. (Not where commits wait for the disk.)
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub async fn begin_brief(&self) -> Result<SharedTx, StoreError> {
        Ok(SharedTx::new(
            self.begin_on(&self.inner.pools.write, Reach::Few).await?,
        ))
    }

    /// Begins a transaction that only reads, for many organisations.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub async fn read_shared(&self) -> Result<SharedTx, StoreError> {
        Ok(SharedTx::new(
            self.begin_on(&self.inner.pools.read, Reach::Any).await?,
        ))
    }

    /// Every organisation that has ever had a row here: what maintenance over all of them goes
    /// through, one after the other.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn organisations(&self) -> Result<Vec<OrgId>, StoreError> {
        let tx = self.read_shared().await?;
        let sql = "SELECT org_id FROM nexus_organisation ORDER BY org_id";
        let rows = tx.query(sql, Vec::new()).await?;
        let mut orgs = Vec::with_capacity(rows.len());
        for row in rows {
            let org: String = row.get("org_id")?;
            match org.parse() {
                Ok(org) => orgs.push(org),
                // A row nobody of ours wrote.
                Err(error) => tracing::warn!(org, %error, "not the id of an organisation"),
            }
        }
        Ok(orgs)
    }

    /// Whether the database answers and keeps what it is given.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.inner.pools.read.ping().await?;
        match &self.inner.upkeep {
            Some(upkeep) => upkeep.check(),
            None => Ok(()),
        }
    }

    /// Closes all connections once they are free. Whoever asks later gets [`StoreError::Closed`].
    pub async fn close(&self) {
        self.inner.pools.read.close().await;
        self.inner.pools.write.close().await;
    }

    async fn begin_on(&self, pool: &Pool, reach: Reach) -> Result<Tx, StoreError> {
        let (session, inner) = (pool.session(reach).await?, &self.inner);
        Ok(Tx::new(
            session,
            Arc::clone(&inner.guard),
            inner.upkeep.clone(),
        ))
    }
}
