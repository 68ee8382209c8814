//! One schema a service, reached as a role that row-level security binds.

use std::str::FromStr;
use std::time::Duration;

use sea_orm::DatabaseConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor};

use super::roles::{self, Found};
use super::{Pools, STATEMENTS, schema};
use crate::{Durability, StoreConfig, StoreError, StoreUrl};

/// Connections of one service that write.
const WRITERS: u32 = 6;
/// Connections of one service that only read.
const READERS: u32 = 4;
/// How long to wait for a connection to a server, or for the server to come up.
const PATIENCE: Duration = Duration::from_secs(5);
/// A transaction that does nothing for so long is ended by the server, which frees its locks.
const IDLE_TRANSACTION: &str = "60000";

pub(super) async fn open(
    url: &str,
    config: &StoreConfig,
    service: &str,
) -> Result<Pools, StoreError> {
    let as_url = options(url, service)?;
    let as_owner = match &config.owner {
        Some(StoreUrl::Postgres(owner)) => Some(options(owner, service)?),
        _ => None,
    };
    let Found { roles, server } = roles::settle(&as_url, as_owner, &schema(service)).await?;
    let mut serving = as_url;
    if roles.assumed {
        // What a connection falls back to with RESET ROLE, too.
        serving = serving.options([("role", roles.app.as_str())]);
    }
    if let Some(setting) = server.synchronous_commit(config.durability) {
        serving = serving.options([("synchronous_commit", setting)]);
    }
    let reading = [
        ("default_transaction_read_only", "on"),
        // Every statement of a read transaction sees the same state, as on SQLite.
        ("default_transaction_isolation", "repeatable read"),
    ];
    let readers = pool(READERS).connect_lazy_with(serving.clone().options(reading));
    let writers = pool(WRITERS).connect_with(serving).await?;
    Ok(Pools {
        write: writers.into(),
        read: readers.into(),
        roles: Some(roles),
        file: None,
    })
}

fn options(url: &str, service: &str) -> Result<PgConnectOptions, StoreError> {
    Ok(PgConnectOptions::from_str(url)?
        .application_name(&format!("nexus-{service}"))
        .statement_cache_capacity(STATEMENTS)
        .options([
            ("search_path", schema(service).as_str()),
            ("idle_in_transaction_session_timeout", IDLE_TRANSACTION),
            // The roll-back of a connection that had nothing to roll back is not worth a notice.
            ("client_min_messages", "error"),
        ])
        .disable_statement_logging())
}

/// What the server does on its own.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) synchronous_commit: String,
    pub(super) fsync: bool,
}

impl Server {
    /// What connections must set for this durability, where the server's own setting is not it. A
    /// server that waits for its replicas goes on doing so.
    fn synchronous_commit(&self, durability: Durability) -> Option<&'static str> {
        if !self.fsync && durability != Durability::Os {
            tracing::warn!(
                "this PostgreSQL runs with fsync=off: a power cut may cost the whole database"
            );
        }
        match (durability, self.synchronous_commit.as_str()) {
            (Durability::Os, "off") => None,
            (Durability::Os, _) => Some("off"),
            (Durability::Always | Durability::Group, "off") => Some("on"),
            (Durability::Always | Durability::Group, _) => None,
        }
    }
}

/// The one connection that migrates.
pub(super) async fn open_owner(
    options: &PgConnectOptions,
) -> Result<DatabaseConnection, StoreError> {
    Ok(pool(1).connect_with(options.clone()).await?.into())
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .acquire_slow_threshold(PATIENCE)
        // A broken connection is found by the statement that needs it, which is tried again; the
        // test would be a round trip each time.
        .test_before_acquire(false)
        // Whatever happened: no connection goes to its next user inside a transaction, which would
        // also be inside an organisation. One that cannot roll back is thrown away.
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::AssertSqlSafe("ROLLBACK")).await?;
                Ok(true)
            })
        })
}
