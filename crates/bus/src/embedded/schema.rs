//! The file: how it is opened and what is in it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::failure::{damaged, failure, file};
use crate::{BusError, Durability};

/// Marks the file as ours: `NEXB`.
const APPLICATION_ID: i32 = 0x4e45_5842;
const SCHEMA_VERSION: i32 = 1;
const BUSY: Duration = Duration::from_secs(5);
const CACHED_STATEMENTS: usize = 256;
/// In pages: at this length of the log the writer does a checkpoint itself and begins the log
/// again. Most is copied by then.
const CHECKPOINT_PAGES: u32 = 20_000;
const PAGE_BYTES: u64 = 4096;

/// Entries live in one table per channel, `entries_<id>`, so that appending stays appending
/// whatever the other channels do, and the file reads well in the `sqlite3` shell.
const SCHEMA: &str = "
CREATE TABLE channels (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  incarnation TEXT NOT NULL,
  trimmed INTEGER NOT NULL DEFAULT 0  -- everything up to here is gone
) STRICT;
CREATE TABLE consumer_groups (
  id INTEGER PRIMARY KEY,
  channel INTEGER NOT NULL REFERENCES channels,
  name TEXT NOT NULL,
  delivered INTEGER NOT NULL,         -- everything up to here was handed out at least once
  open BLOB NOT NULL,                 -- of that: handed out once and not settled
  UNIQUE (channel, name)
) STRICT;
CREATE TABLE returned (               -- of that: handed out more often, or waiting for its time
  consumer_group INTEGER NOT NULL REFERENCES consumer_groups,
  seq INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  PRIMARY KEY (consumer_group, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE tables (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  incarnation TEXT NOT NULL,
  n INTEGER NOT NULL                  -- grows with every change
) STRICT;
CREATE TABLE table_rows (
  table_id INTEGER NOT NULL REFERENCES tables,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (table_id, key)
) STRICT, WITHOUT ROWID;
";

/// The owner's connection, with the schema in place.
pub(super) fn open_owner(
    path: &Path,
    durability: Durability,
    max_bytes: Option<u64>,
) -> Result<Connection, BusError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| failure(path, &e))?;
    check_identity(path, &connection)?;
    prepare(&connection, durability, max_bytes).map_err(|error| failure(path, &error))?;
    Ok(connection)
}

/// The owner's second connection, which does nothing but checkpoints.
pub(super) fn open_checkpoint(path: &Path, durability: Durability) -> Result<Connection, BusError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| failure(path, &e))?;
    set_synchronous(&connection, durability).map_err(|error| failure(path, &error))?;
    Ok(connection)
}

fn set_synchronous(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    let synchronous = match durability {
        // The log is synced before it is written back: a power cut never damages the file.
        Durability::Group | Durability::Os => "NORMAL",
        Durability::Always => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)
}

/// A connection that only reads, beside the owner's.
pub(super) fn open_reader(path: &Path) -> Result<Connection, BusError> {
    if !path.exists() {
        return Err(file(
            path,
            "there is no such file; start the node that owns it first",
        ));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| failure(path, &e))?;
    connection
        .busy_timeout(BUSY)
        .map_err(|error| failure(path, &error))?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

/// Whether the file is a bus of this version. A new file is neither yet.
pub(super) fn check_identity(path: &Path, connection: &Connection) -> Result<(), BusError> {
    let number = |pragma: &str| {
        let value: Result<i32, _> = connection.pragma_query_value(None, pragma, |row| row.get(0));
        value.map_err(|error| failure(path, &error))
    };
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| failure(path, &error))?;
    match (application, version, tables) {
        (APPLICATION_ID, SCHEMA_VERSION, 1..) | (0, 0, 0) => Ok(()),
        (APPLICATION_ID, SCHEMA_VERSION.., 1..) => Err(file(
            path,
            "a newer version of Nexus wrote this file; run that version",
        )),
        (APPLICATION_ID, ..) => Err(damaged(path, "its tables are missing")),
        _ => Err(file(path, "this is not a Nexus bus; name another file")),
    }
}

fn prepare(
    connection: &Connection,
    durability: Durability,
    max_bytes: Option<u64>,
) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.pragma_update(None, "page_size", PAGE_BYTES.cast_signed())?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    set_synchronous(connection, durability)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    if let Some(bytes) = max_bytes {
        let pages = (bytes / PAGE_BYTES).cast_signed();
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {SCHEMA}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};
             COMMIT;"
        ))?;
    }
    Ok(())
}

/// The statement that makes a channel's own table.
pub(super) fn create_entries(channel: i64) -> String {
    format!(
        "CREATE TABLE entries_{channel} (
           seq INTEGER PRIMARY KEY, stored_at INTEGER NOT NULL, record BLOB NOT NULL
         ) STRICT"
    )
}

/// A new name for a life of a channel or table.
pub(super) fn new_incarnation() -> String {
    format!("{:032x}", rand::random::<u128>())
}
