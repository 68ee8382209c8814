//! One schema a service, reached as a role that row-level security binds.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, QueueMode, RecyclingMethod, Runtime};

use super::address::Address;
use super::roles::{self, Found};
use super::{Pool, Pools, schema};
use crate::error::DatabaseError;
use crate::postgres::PgPool;
use crate::{Durability, StoreConfig, StoreError, StoreUrl};

/// Connections of one service that write.
const WRITERS: usize = 6;
/// Connections of one service that only read.
const READERS: usize = 4;
/// How long to wait for a connection to a server, or for the server to come up.
const PATIENCE: Duration = Duration::from_secs(5);
/// A transaction that does nothing for so long is ended by the server, which frees its locks.
const IDLE_TRANSACTION: &str = "60000";

pub(super) async fn open(
    url: &str,
    config: &StoreConfig,
    service: &str,
) -> Result<Pools, StoreError> {
    let as_url = address(url, service)?;
    let as_owner = match &config.owner {
        Some(StoreUrl::Postgres(owner)) => Some(address(owner, service)?),
        _ => None,
    };
    let Found { roles, server } = roles::settle(&as_url, as_owner, &schema(service)).await?;
    let mut serving = as_url;
    if roles.assumed {
        // What a connection falls back to with RESET ROLE, too.
        serving = serving.set("role", &roles.app);
    }
    if let Some(setting) = server.synchronous_commit(config.durability) {
        serving = serving.set("synchronous_commit", setting);
    }
    let reading = serving
        .clone()
        .set("default_transaction_read_only", "on")
        // Every statement of a read transaction sees the same state, as on SQLite.
        .set("default_transaction_isolation", "repeatable read");
    // Whatever writes finds its rows by keys, and plans are made once. One that was made while a table
    // was small must not go on reading all there is of an organisation: looking a key up costs nothing
    // beside that, whatever the server believes.
    let serving = serving
        .set("plan_cache_mode", "force_generic_plan")
        .set("enable_seqscan", "off")
        .set("cpu_operator_cost", "0");
    Ok(Pools {
        write: Pool::Postgres(pool(&serving, WRITERS)?),
        read: Pool::Postgres(pool(&reading, READERS)?),
        roles: Some(roles),
        file: None,
    })
}

fn address(url: &str, service: &str) -> Result<Address, StoreError> {
    let mut address = Address::of(url)?
        .set("search_path", &schema(service))
        .set("idle_in_transaction_session_timeout", IDLE_TRANSACTION)
        // The roll-back of a connection that had nothing to roll back is not worth a notice.
        .set("client_min_messages", "error");
    address
        .config
        .application_name(format!("nexus-{service}"))
        .connect_timeout(PATIENCE);
    Ok(address)
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
pub(super) fn owners(address: &Address) -> Result<PgPool, StoreError> {
    pool(address, 1)
}

fn pool(address: &Address, most: usize) -> Result<PgPool, StoreError> {
    let Address { config, tls } = address.clone();
    let recycling = ManagerConfig {
        // A broken connection is found by the statement that needs it, which is tried again; the
        // test would be a round trip each time. A transaction that was given up ends itself.
        recycling_method: RecyclingMethod::Fast,
    };
    let pool = deadpool_postgres::Pool::builder(Manager::from_config(config, tls, recycling))
        .max_size(most)
        .runtime(Runtime::Tokio1)
        // Those in use know the statements already.
        .queue_mode(QueueMode::Lifo)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .build();
    let pool = pool.map_err(|error| StoreError::Refused(DatabaseError::of(error)))?;
    Ok(PgPool::new(pool, PATIENCE))
}
