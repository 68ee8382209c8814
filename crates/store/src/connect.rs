//! Opening the databases, with the settings everything else relies on.

mod address;
mod postgres;
pub(crate) mod roles;
mod sqlite;

use std::path::PathBuf;

use crate::postgres::PgPool;
use crate::session::{Reach, Session};
use crate::sqlite::SqlitePool;
use crate::{StoreConfig, StoreError, StoreKind, StoreUrl};

pub(crate) use roles::Roles;

/// Prepared statements kept per connection of `SQLite`.
const STATEMENTS: usize = 256;

/// Connections of one kind.
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    /// Which database it is.
    pub(crate) const fn kind(&self) -> StoreKind {
        match self {
            Self::Sqlite(_) => StoreKind::Sqlite,
            Self::Postgres(_) => StoreKind::Postgres,
        }
    }

    /// Waits for a connection; the transaction on it is begun by its first statement.
    pub(crate) async fn session(&self, reach: Reach) -> Result<Session, StoreError> {
        Ok(match self {
            Self::Sqlite(pool) => Session::Sqlite(pool.session(reach).await?),
            Self::Postgres(pool) => Session::Postgres(pool.session().await?),
        })
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(pool) => pool.lease().await.map(drop),
            Self::Postgres(pool) => pool.ping().await,
        }
    }

    /// Closes all connections once they are free.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close(),
        }
    }
}

/// The databases behind a store.
pub(crate) struct Pools {
    pub(crate) write: Pool,
    pub(crate) read: Pool,
    /// Who is who; on `PostgreSQL` alone.
    pub(crate) roles: Option<Roles>,
    /// The file, where there is one.
    pub(crate) file: Option<PathBuf>,
}

/// Opens the database of one service.
pub(crate) async fn open(config: &StoreConfig, service: &str) -> Result<Pools, StoreError> {
    match &config.url {
        StoreUrl::Memory => sqlite::open_memory().await,
        StoreUrl::Folder(folder) => sqlite::open_file(folder, service, config.durability).await,
        StoreUrl::Postgres(url) => postgres::open(url, config, service).await,
    }
}

/// The schema of a service: its own tables, out of sight of the others.
pub(crate) fn schema(service: &str) -> String {
    let letters = service
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("nexus_{}", letters.collect::<String>())
}
