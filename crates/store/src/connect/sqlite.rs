//! One file a service, with one writer.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::time::Instant;

use super::{Pool, Pools, STATEMENTS};
use crate::sqlite::{Manner, SqlitePool};
use crate::{Durability, StoreError};

/// Readers beside the one writer.
const READERS: usize = 4;
/// How long to wait for the one writer before the caller hears "busy".
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to open a file that another process is opening.
const PAUSE: Duration = Duration::from_millis(20);
/// Taken at once, so that two writers wait for each other instead of failing later.
const BEGIN_WRITING: &str = "BEGIN IMMEDIATE";
/// Pages kept in memory by each connection, in KiB, negative as SQLite has it.
const CACHE_KIB: i64 = -32_000;
const BEGIN_READING: &str = "BEGIN";

const fn writing(durability: Durability) -> Manner {
    Manner {
        begin: BEGIN_WRITING,
        patience: PATIENCE,
        syncs: matches!(durability, Durability::Always),
    }
}

const READING: Manner = Manner {
    begin: BEGIN_READING,
    patience: PATIENCE,
    syncs: false,
};

pub(super) async fn open_memory() -> Result<Pools, StoreError> {
    // One connection for everything: the database lives inside it.
    let open = || {
        let connection = Connection::open_in_memory()?;
        common(&connection)?;
        Ok(connection)
    };
    let write = SqlitePool::new(1, writing(Durability::Os), open);
    drop(write.lease().await?);
    Ok(Pools {
        read: Pool::Sqlite(write.clone()),
        write: Pool::Sqlite(write),
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
    let file = path.clone();
    let open = move || open_writer(&file, durability);
    let write = SqlitePool::new(1, writing(durability), open);
    // The writer first: it makes the file and sets its mode.
    let until = Instant::now() + PATIENCE;
    while let Err(error) = write.lease().await {
        // Setting the mode of a file that another process opens in the same moment is refused at
        // once, whatever the busy timeout.
        if !matches!(error, StoreError::Busy(_)) || Instant::now() >= until {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let file = path.clone();
    let open = move || {
        let connection = Connection::open_with_flags(&file, flags())?;
        common(&connection)?;
        connection.pragma_update(None, "query_only", "on")?;
        Ok(connection)
    };
    let read = SqlitePool::new(READERS, READING, open);
    Ok(Pools {
        write: Pool::Sqlite(write),
        read: Pool::Sqlite(read),
        roles: None,
        file: Some(path),
    })
}

/// Opens the one writer.
fn open_writer(file: &Path, durability: Durability) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(file, flags())?;
    common(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let synchronous = match durability {
        Durability::Always => "full",
        // A commit survives the end of the process without a sync; the end of the machine may
        // cost the last moment, never the file: its log is synced before it is written back.
        Durability::Group | Durability::Os => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // The log is written back beside the commits: see `upkeep`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // What is deleted is overwritten where that writes no page that is not written anyway.
    connection.pragma_update(None, "secure_delete", "fast")?;
    Ok(connection)
}

/// One caller at a time uses a connection, so it needs no lock of its own.
fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn common(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", "on")?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")
}
