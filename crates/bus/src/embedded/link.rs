//! How everyone else reaches the file: commands to the writer thread, queries on connections that
//! only read.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use parking_lot::Mutex;
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::codec::encode;
use super::command::{Append, Command};
use super::failure::failure;
use super::schema::open_reader;
use super::state::{Channel, Shared, Stored};
use crate::{BusError, Outgoing};

/// Connections kept for the next query.
const IDLE_READERS: usize = 4;

/// The owner's bus, for whoever holds a part of it.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) readers: Arc<Readers>,
    queue: Sender<Command>,
}

impl Link {
    pub(super) fn new(shared: Arc<Shared>, queue: Sender<Command>) -> Self {
        let readers = Arc::new(Readers::new(shared.path.clone()));
        Self {
            shared,
            readers,
            queue,
        }
    }

    /// Hands over a command nobody waits for.
    pub(super) fn send(&self, command: Command) -> Result<(), BusError> {
        self.queue.send(command).or(Err(BusError::Closed))
    }

    /// Hands over a command and waits for what it came to.
    pub(super) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, BusError> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        answer.await.or(Err(BusError::Closed))
    }
}

/// Connections that only read.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Runs a query off the asynchronous threads.
    pub(super) async fn query<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BusError> {
        let readers = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let idle = readers.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&readers.path)?,
            };
            let answer = query(&connection).map_err(|error| failure(&readers.path, &error))?;
            let mut idle = readers.idle.lock();
            if idle.len() < IDLE_READERS {
                idle.push(connection);
            }
            Ok(answer)
        });
        work.await.or(Err(BusError::Closed))?
    }

    /// Lets go of the file.
    pub(super) fn close(&self) {
        self.idle.lock().clear();
    }
}

/// Up to `limit` entries from `from` on.
pub(super) fn entries(
    connection: &Connection,
    channel: &Channel,
    from: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Stored>> {
    let select = format!(
        "SELECT seq, stored_at, record FROM entries_{} WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
        channel.id
    );
    let mut statement = connection.prepare_cached(&select)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![from.cast_signed(), limit], |row| {
        let seq: i64 = row.get(0)?;
        let record: Vec<u8> = row.get(2)?;
        Ok(Stored {
            seq: seq.cast_unsigned(),
            stored_at: row.get(1)?,
            record: record.into(),
        })
    })?;
    rows.collect()
}

/// These entries, as far as they are there.
pub(super) fn entries_at(
    connection: &Connection,
    channel: &Channel,
    sequences: &[u64],
) -> rusqlite::Result<Vec<Stored>> {
    let select = format!(
        "SELECT stored_at, record FROM entries_{} WHERE seq = ?1",
        channel.id
    );
    let mut statement = connection.prepare_cached(&select)?;
    let mut found = Vec::with_capacity(sequences.len());
    for &seq in sequences {
        let mut rows = statement.query(params![seq.cast_signed()])?;
        if let Some(row) = rows.next()? {
            let record: Vec<u8> = row.get(1)?;
            found.push(Stored {
                seq,
                stored_at: row.get(0)?,
                record: record.into(),
            });
        }
    }
    Ok(found)
}

/// Outgoing records, encoded by whoever sends them rather than by the one writer.
pub(super) fn appends(batch: &[Outgoing]) -> Result<Vec<Append>, BusError> {
    let append = |outgoing: &Outgoing| {
        if outgoing.channel.is_empty() {
            return Err(BusError::Config("a channel needs a name".to_owned()));
        }
        Ok(Append {
            channel: outgoing.channel.clone(),
            record: encode(&outgoing.record),
        })
    };
    batch.iter().map(append).collect()
}
