//! Opening the databases, with the settings everything else relies on.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sea_orm::DatabaseConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Executor, SqlitePool};
use tokio::time::Instant;

use crate::{StoreError, StoreUrl};

/// Readers beside the one writer of an `SQLite` file.
const SQLITE_READERS: u32 = 4;
/// Connections of one service that write, on `PostgreSQL`.
const POSTGRES_WRITERS: u32 = 6;
/// Connections of one service that only read, on `PostgreSQL`.
const POSTGRES_READERS: u32 = 4;
/// How long to wait for the one writer of an `SQLite` file before the caller hears "busy".
const SQLITE_PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to open a file that another process is opening.
const SQLITE_PAUSE: Duration = Duration::from_millis(20);
/// How long to wait for a connection to a server, or for the server to come up.
const POSTGRES_PATIENCE: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENTS: usize = 256;
/// Pages of the log before it is written back: 80 MB. Writing back more often than this halves the
/// number of events stored in a second.
const WAL_PAGES: &str = "20000";
/// A transaction that does nothing for so long is ended by the server, which frees its locks.
const IDLE_TRANSACTION: &str = "60000";

/// The databases behind a store.
pub(crate) struct Pools {
    pub(crate) write: DatabaseConnection,
    pub(crate) read: DatabaseConnection,
}

/// Opens the database of one service.
pub(crate) async fn open(url: &StoreUrl, service: &str) -> Result<Pools, StoreError> {
    match url {
        StoreUrl::Memory => open_memory().await,
        StoreUrl::Folder(folder) => open_file(folder, service).await,
        StoreUrl::Postgres(url) => open_postgres(url, service).await,
    }
}

async fn open_memory() -> Result<Pools, StoreError> {
    // One connection for everything: the database lives inside it.
    let pool = sqlite_pool(1)
        .connect_with(sqlite_options("sqlite::memory:")?)
        .await?;
    let write = DatabaseConnection::from(pool);
    Ok(Pools {
        read: write.clone(),
        write,
    })
}

async fn open_file(folder: &Path, service: &str) -> Result<Pools, StoreError> {
    let fail = |error: std::io::Error| StoreError::Folder {
        folder: folder.display().to_string(),
        reason: error.to_string(),
    };
    std::fs::create_dir_all(folder).map_err(fail)?;
    let file = sqlite_options("sqlite:")?
        .filename(folder.join(format!("{service}.db")))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit survives the end of the process without an fsync; the end of the machine may
        // cost the last moment, never the file.
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", WAL_PAGES)
        .pragma("cache_size", "-16000")
        .pragma("temp_store", "memory");
    // The writer first: it makes the file and sets its mode.
    let write = writer(&file).await?;
    let readers = sqlite_pool(SQLITE_READERS).min_connections(0);
    let read = readers
        .connect_with(file.pragma("query_only", "on"))
        .await?;
    Ok(Pools {
        write: write.into(),
        read: read.into(),
    })
}

/// Opens the one writer. Setting the mode of a file that another process opens in the same moment
/// is refused at once, whatever the busy timeout: tried again until that is over.
async fn writer(file: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let until = Instant::now() + SQLITE_PATIENCE;
    loop {
        match sqlite_pool(1).connect_with(file.clone()).await {
            Ok(pool) => return Ok(pool),
            Err(error) => {
                let error = StoreError::from(error);
                if !error.is_transient() || Instant::now() >= until {
                    return Err(error);
                }
                tokio::time::sleep(SQLITE_PAUSE).await;
            }
        }
    }
}

fn sqlite_options(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    Ok(SqliteConnectOptions::from_str(url)?
        .busy_timeout(SQLITE_PATIENCE)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging())
}

fn sqlite_pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(SQLITE_PATIENCE)
        // Waiting for the one writer is normal and not worth a warning.
        .acquire_slow_threshold(SQLITE_PATIENCE)
        // A file does not go away between two uses; the test would be a round trip each time.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

async fn open_postgres(url: &str, service: &str) -> Result<Pools, StoreError> {
    let options = PgConnectOptions::from_str(url)?
        .application_name(&format!("nexus-{service}"))
        .statement_cache_capacity(STATEMENTS)
        .options([
            ("search_path", schema(service).as_str()),
            ("idle_in_transaction_session_timeout", IDLE_TRANSACTION),
            // The roll-back of a connection that had nothing to roll back is not worth a notice.
            ("client_min_messages", "error"),
        ])
        .disable_statement_logging();
    let reading = [
        ("default_transaction_read_only", "on"),
        // Every statement of a read transaction sees the same state, as on SQLite.
        ("default_transaction_isolation", "repeatable read"),
    ];
    let readers =
        postgres_pool(POSTGRES_READERS).connect_lazy_with(options.clone().options(reading));
    let writers = postgres_pool(POSTGRES_WRITERS)
        .connect_with(options)
        .await?;
    Ok(Pools {
        write: writers.into(),
        read: readers.into(),
    })
}

fn postgres_pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(POSTGRES_PATIENCE)
        .acquire_slow_threshold(POSTGRES_PATIENCE)
        // A broken connection is found by the statement that needs it, which is tried again; the
        // test would be a round trip each time.
        .test_before_acquire(false)
        // Whatever happened: no connection goes to its next user inside a transaction. One that
        // cannot roll back is thrown away.
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::AssertSqlSafe("ROLLBACK")).await?;
                Ok(true)
            })
        })
}

/// The schema of a service: its own tables, out of sight of the others.
pub(crate) fn schema(service: &str) -> String {
    let letters = service
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("nexus_{}", letters.collect::<String>())
}
