//! Tables: rows of the file, and those who watch them.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::broadcast;

use super::command::TableWrite;
use super::schema::new_incarnation;
use super::transaction::Transaction;
use crate::{Expect, PutOutcome, TableChange, TableVersion, Versioned};

/// How many changes a watcher may be behind before it is sent everything again.
const WATCH_BACKLOG: usize = 1024;

/// A change and the table's counter after it.
pub(super) type Change = (u64, TableChange);

/// Who watches which table.
#[derive(Default)]
pub(super) struct Watchers {
    tables: Mutex<HashMap<String, broadcast::Sender<Change>>>,
}

impl Watchers {
    pub(super) fn watch(&self, table: &str) -> broadcast::Receiver<Change> {
        let mut tables = self.tables.lock();
        let sender = tables
            .entry(table.to_owned())
            .or_insert_with(|| broadcast::Sender::new(WATCH_BACKLOG));
        sender.subscribe()
    }

    pub(super) fn tell(&self, table: &str, n: u64, change: TableChange) {
        let mut tables = self.tables.lock();
        let unheard = tables
            .get(table)
            .is_some_and(|sender| sender.send((n, change)).is_err());
        if unheard {
            tables.remove(table);
        }
    }

    /// Ends every watch.
    pub(super) fn close(&self) {
        self.tables.lock().clear();
    }
}

/// A table of the file.
struct Table {
    id: i64,
    incarnation: String,
    n: u64,
}

impl Table {
    fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached("SELECT id, incarnation, n FROM tables WHERE name = ?1")?
            .query_row(params![name], |row| {
                let n: i64 = row.get(2)?;
                Ok(Self {
                    id: row.get(0)?,
                    incarnation: row.get(1)?,
                    n: n.cast_unsigned(),
                })
            })
            .optional()
    }

    fn version(&self, n: i64) -> TableVersion {
        TableVersion {
            incarnation: self.incarnation.clone(),
            n: n.cast_unsigned(),
        }
    }

    fn get(&self, connection: &Connection, key: &str) -> rusqlite::Result<Option<Versioned>> {
        connection
            .prepare_cached("SELECT value, n FROM table_rows WHERE table_id = ?1 AND key = ?2")?
            .query_row(params![self.id, key], |row| {
                let (value, n): (Vec<u8>, i64) = (row.get(0)?, row.get(1)?);
                let version = self.version(n);
                Ok(Versioned {
                    key: key.to_owned(),
                    value: value.into(),
                    version,
                })
            })
            .optional()
    }

    fn list(&self, connection: &Connection) -> rusqlite::Result<Vec<Versioned>> {
        let mut select = connection.prepare_cached(
            "SELECT key, value, n FROM table_rows WHERE table_id = ?1 ORDER BY key",
        )?;
        let rows = select.query_map(params![self.id], |row| {
            let (key, value, n): (String, Vec<u8>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Versioned {
                key,
                value: value.into(),
                version: self.version(n),
            })
        })?;
        rows.collect()
    }
}

/// The value of a key.
pub(super) fn get(
    connection: &Connection,
    table: &str,
    key: &str,
) -> rusqlite::Result<Option<Versioned>> {
    match Table::find(connection, table)? {
        Some(table) => table.get(connection, key),
        None => Ok(None),
    }
}

/// All values by key, with the counter at that moment.
pub(super) fn list(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<(u64, Vec<Versioned>)> {
    // One read transaction, so that counter and rows belong together.
    let transaction = connection.unchecked_transaction()?;
    match Table::find(&transaction, table)? {
        Some(table) => Ok((table.n, table.list(&transaction)?)),
        None => Ok((0, Vec::new())),
    }
}

impl Transaction<'_> {
    pub(super) fn write_table(&mut self, write: &TableWrite) -> rusqlite::Result<PutOutcome> {
        let found = Table::find(self.connection, &write.table)?;
        let current = match &found {
            Some(table) => table.get(self.connection, &write.key)?,
            None => None,
        };
        let holds = match &write.expect {
            Expect::Any => true,
            Expect::Absent => current.is_none(),
            Expect::Version(version) => current.as_ref().is_some_and(|c| c.version == *version),
        };
        if !holds {
            return Ok(PutOutcome::Conflict(current));
        }
        let table = match found {
            Some(table) => table,
            None => self.create_table(&write.table)?,
        };
        let n = table.n + 1;
        self.connection
            .prepare_cached("UPDATE tables SET n = ?2 WHERE id = ?1")?
            .execute(params![table.id, n.cast_signed()])?;
        let version = table.version(n.cast_signed());
        match &write.value {
            Some(value) => self.put_row(&table, write, value, &version)?,
            None => self.delete_row(&table, write, n)?,
        }
        Ok(PutOutcome::Stored(version))
    }

    fn put_row(
        &mut self,
        table: &Table,
        write: &TableWrite,
        value: &Bytes,
        version: &TableVersion,
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO table_rows VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                table.id,
                write.key,
                value.as_ref(),
                version.n.cast_signed()
            ])?;
        let put = Versioned {
            key: write.key.clone(),
            value: value.clone(),
            version: version.clone(),
        };
        self.tables
            .push((write.table.clone(), version.n, TableChange::Put(put)));
        Ok(())
    }

    fn delete_row(&mut self, table: &Table, write: &TableWrite, n: u64) -> rusqlite::Result<()> {
        let deleted = self
            .connection
            .prepare_cached("DELETE FROM table_rows WHERE table_id = ?1 AND key = ?2")?
            .execute(params![table.id, write.key])?;
        if deleted > 0 {
            let change = TableChange::Deleted {
                key: write.key.clone(),
            };
            self.tables.push((write.table.clone(), n, change));
        }
        Ok(())
    }

    fn create_table(&self, name: &str) -> rusqlite::Result<Table> {
        let incarnation = new_incarnation();
        self.connection
            .prepare_cached("INSERT INTO tables (name, incarnation, n) VALUES (?1, ?2, 0)")?
            .execute(params![name, incarnation])?;
        Ok(Table {
            id: self.connection.last_insert_rowid(),
            incarnation,
            n: 0,
        })
    }
}
