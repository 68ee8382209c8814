//! The store of one service.

use std::sync::{Arc, Mutex, PoisonError};

use nexus_contracts::OrgId;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::connect::{self, Pools};
use crate::migrate::{self, Migration};
use crate::tx::{SharedTx, TenantTx, Tx};
use crate::{StoreError, StoreUrl};

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
    /// Transactions that are being begun. See [`Store::begin_on`].
    beginning: Mutex<JoinSet<()>>,
}

/// The set of a service's own migrations.
const OWN: &str = "own";

impl Store {
    /// Opens the database of a service and brings its tables up to date.
    ///
    /// # Errors
    /// When the database cannot be reached, was written by a newer program, or a migration fails.
    pub async fn open(
        url: &StoreUrl,
        service: &'static str,
        migrations: &'static [Migration],
    ) -> Result<Self, StoreError> {
        let pools = connect::open(url, service).await?;
        let kind = match url {
            StoreUrl::Postgres(_) => StoreKind::Postgres,
            StoreUrl::Folder(_) | StoreUrl::Memory => StoreKind::Sqlite,
        };
        let beginning = Mutex::new(JoinSet::new());
        let store = Self {
            inner: Arc::new(Inner {
                service,
                kind,
                pools,
                beginning,
            }),
        };
        store.migrate(OWN, migrations).await?;
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
        migrations: &'static [Migration],
    ) -> Result<(), StoreError> {
        migrate::run(self, set, migrations).await
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

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.inner.pools.read.ping().await?)
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
            let _ = begun.send(begin_twice(&pool, options).await);
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
        let transaction = result.await.map_err(|_gone| StoreError::Closed)??;
        Ok(Tx::new(transaction))
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

/// Tries a second time when the connection turns out to be broken: connections are not tested when
/// they are taken from the pool, and a server that restarted breaks all of them.
async fn begin_twice(
    pool: &DatabaseConnection,
    options: TransactionOptions,
) -> Result<DatabaseTransaction, StoreError> {
    let again = TransactionOptions { ..options };
    let begun = match pool
        .begin_with_options(options)
        .await
        .map_err(StoreError::from)
    {
        Err(StoreError::Unavailable(_)) => pool
            .begin_with_options(again)
            .await
            .map_err(StoreError::from),
        begun => begun,
    };
    begun.map_err(|error| match error {
        // Nobody else holds a connection: there is none to be had.
        StoreError::Busy(error) if has_no_connection(pool) => StoreError::Unavailable(error),
        error => error,
    })
}

/// The pool of a server that is away tries again until its patience ends, and then says no more
/// than that it ended.
fn has_no_connection(pool: &DatabaseConnection) -> bool {
    pool.get_database_backend() == DbBackend::Postgres
        && pool.get_postgres_connection_pool().size() == 0
}
