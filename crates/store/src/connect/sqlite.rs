//! One file a service, with one writer.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sea_orm::DatabaseConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};
use tokio::time::Instant;

use super::{Pools, STATEMENTS};
use crate::{Durability, StoreError};

/// Readers beside the one writer.
const READERS: u32 = 4;
/// How long to wait for the one writer before the caller hears "busy".
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to open a file that another process is opening.
const PAUSE: Duration = Duration::from_millis(20);
/// Pages of the log before it is written back: 80 MB. Writing back more often than this halves the
/// number of events stored in a second.
const WAL_PAGES: &str = "20000";

pub(super) async fn open_memory() -> Result<Pools, StoreError> {
    // One connection for everything: the database lives inside it.
    let pool = pool(1).connect_with(options("sqlite::memory:")?).await?;
    let write = DatabaseConnection::from(pool);
    Ok(Pools {
        read: write.clone(),
        write,
        roles: None,
        file: None,
    })
}

pub(super) async fn open_file(
    folder: &Path,
    service: &str,
    durability: Durability,
) -> Result<Pools, StoreError> {
    let fail = |error: std::io::Error| StoreError::Folder {
        folder: folder.display().to_string(),
        reason: error.to_string(),
    };
    std::fs::create_dir_all(folder).map_err(fail)?;
    let path = folder.join(format!("{service}.db"));
    let file = options("sqlite:")?
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match durability {
            Durability::Always => SqliteSynchronous::Full,
            // A commit survives the end of the process without a sync; the end of the machine may
            // cost the last moment, never the file: its log is synced before it is written back.
            Durability::Group | Durability::Os => SqliteSynchronous::Normal,
        })
        .pragma("wal_autocheckpoint", WAL_PAGES)
        .pragma("cache_size", "-16000")
        .pragma("temp_store", "memory")
        // What is deleted is overwritten where that writes no page that is not written anyway.
        .pragma("secure_delete", "fast");
    // The writer first: it makes the file and sets its mode.
    let write = writer(&file).await?;
    let readers = pool(READERS).min_connections(0);
    let read = readers
        .connect_with(file.pragma("query_only", "on"))
        .await?;
    Ok(Pools {
        write: write.into(),
        read: read.into(),
        roles: None,
        file: Some(path),
    })
}

/// Opens the one writer. Setting the mode of a file that another process opens in the same moment
/// is refused at once, whatever the busy timeout: tried again until that is over.
async fn writer(file: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match pool(1).connect_with(file.clone()).await {
            Ok(pool) => return Ok(pool),
            Err(error) => {
                let error = StoreError::from(error);
                if !error.is_transient() || Instant::now() >= until {
                    return Err(error);
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn options(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    Ok(SqliteConnectOptions::from_str(url)?
        .busy_timeout(PATIENCE)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging())
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        // Waiting for the one writer is normal and not worth a warning.
        .acquire_slow_threshold(PATIENCE)
        // A file does not go away between two uses; the test would be a round trip each time.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}
