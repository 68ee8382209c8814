//! The store of one service.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use nexus_contracts::OrgId;
use sea_orm::{DatabaseConnection, DbBackend, SqliteTransactionMode, TransactionOptions};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::connect::{self, Pools};
use crate::guard::Guard;
use crate::migrate::Target;
use crate::schema::Schema;
use crate::session::Session;
use crate::tx::{SharedTx, TenantTx, Tx};
use crate::upkeep::Upkeep;
use crate::{StoreConfig, StoreError, StoreUrl};

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
    pools: Pools,
    guard: Arc<Guard>,
    /// Of a file.
    upkeep: Option<Arc<Upkeep>>,
    /// Tables exempt from tenancy, of all sets so far.
    exempt: Mutex<HashSet<&'static str>>,
    /// Transactions that are being begun. See [`Store::begin_on`].
    beginning: Mutex<JoinSet<()>>,
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
        let kind = match &config.url {
            StoreUrl::Postgres(_) => StoreKind::Postgres,
            StoreUrl::Folder(_) | StoreUrl::Memory => StoreKind::Sqlite,
        };
        let upkeep = pools.file.as_deref().map(|file| {
            let writer = pools.write.get_sqlite_connection_pool();
            Arc::new(Upkeep::start(file, config.durability, writer))
        });
        let store = Self {
            inner: Arc::new(Inner {
                service,
                kind,
                guard: Arc::default(),
                upkeep,
                pools,
                exempt: Mutex::default(),
                beginning: Mutex::default(),
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
            options: self.options(&inner.pools.write),
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

    /// The service whose store this is.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.inner.service
    }

    /// Begins a transaction that writes, under an organisation. `SQLite` has one at a time.
    ///
    /// # Errors
    /// When the database is busy for half a minute or cannot be reached.
    pub async fn begin(&self, org: OrgId) -> Result<TenantTx, StoreError> {
        Ok(TenantTx::new(
            self.begin_on(&self.inner.pools.write).await?,
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
            self.begin_on(&self.inner.pools.read).await?,
            org,
        ))
    }

    /// Begins a transaction that writes for many organisations.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub async fn begin_shared(&self) -> Result<SharedTx, StoreError> {
        Ok(SharedTx::new(self.begin_on(&self.inner.pools.write).await?))
    }

    /// Begins a transaction that only reads, for many organisations.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub async fn read_shared(&self) -> Result<SharedTx, StoreError> {
        Ok(SharedTx::new(self.begin_on(&self.inner.pools.read).await?))
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
    ///
    /// # Errors
    /// When a connection does not close in good order.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.inner.pools.read.close_by_ref().await?;
        Ok(self.inner.pools.write.close_by_ref().await?)
    }

    /// Begins in a task of the store's own, which nobody cancels.
    ///
    /// sqlx 0.9 notes that a connection is inside a transaction only after `PostgreSQL` has answered
    /// `BEGIN`. A caller that gives up before that leaves the connection inside one that nobody
    /// ends, and the pool hands it on (sqlx issue 4393).
    async fn begin_on(&self, pool: &DatabaseConnection) -> Result<Tx, StoreError> {
        let (begun, result) = oneshot::channel();
        let (pool, options) = (pool.clone(), self.options(pool));
        let begin = async move {
            // With the caller gone the transaction is dropped here, which rolls it back.
            let _ = begun.send(Session::begin(&pool, options).await);
        };
        {
            let mut tasks = self
                .inner
                .beginning
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(begin);
        }
        let session = result.await.map_err(|_gone| StoreError::Closed)??;
        let inner = &self.inner;
        Ok(Tx::new(
            session,
            Arc::clone(&inner.guard),
            inner.upkeep.clone(),
        ))
    }

    fn options(&self, pool: &DatabaseConnection) -> TransactionOptions {
        let writes = std::ptr::eq(pool, &raw const self.inner.pools.write);
        let immediate = writes && pool.get_database_backend() == DbBackend::Sqlite;
        TransactionOptions {
            // Taken at once, so that two writers wait for each other instead of failing later.
            sqlite_transaction_mode: immediate.then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        }
    }
}
