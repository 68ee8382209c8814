//! Opening the databases, with the settings everything else relies on.

mod postgres;
pub(crate) mod roles;
mod sqlite;

use std::path::PathBuf;

use sea_orm::DatabaseConnection;

use crate::{StoreConfig, StoreError, StoreUrl};

pub(crate) use roles::Roles;

/// Prepared statements kept per connection.
const STATEMENTS: usize = 256;

/// The databases behind a store.
pub(crate) struct Pools {
    pub(crate) write: DatabaseConnection,
    pub(crate) read: DatabaseConnection,
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
