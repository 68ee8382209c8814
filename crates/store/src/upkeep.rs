//! What an `SQLite` file needs beside its transactions: its log synced within a second of a commit,
//! and written back soon after something was erased.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::fs::File;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::sqlite::SqlitePool;
use crate::{Durability, StoreError};

/// The longest a commit stays unsynced, but for the time the disk takes.
const SYNCED_WITHIN: Duration = Duration::from_secs(1);
/// How long writers may wait for readers while the log is written back, in milliseconds.
const IN_THE_WAY_MS: i64 = 100;
/// How often the length of the log is looked at while it grows.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// From so many pages on the log is written back and begun anew: 64 MB. More often than this would
/// write the same pages again and again, and halves the number of events stored in a second.
const LONG: i64 = 16_000;
/// Between two tries to write the log back.
const WRITE_BACK_PAUSE: Duration = Duration::from_millis(500);
/// After so many tries a person should know; it goes on.
const WRITE_BACK_TRIES: u32 = 120;

/// Looks after one file until it is dropped.
pub(crate) struct Upkeep {
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    log: PathBuf,
    committed: Notify,
    grown: Notify,
    erased: Notify,
    /// What the disk said when it refused. It stays: what was not written then is lost with the
    /// machine, whatever a later sync says.
    refused: Mutex<Option<String>>,
}

impl Upkeep {
    /// For this database file, the pool of its one writer and that of its readers.
    pub(crate) fn start(
        database: &Path,
        durability: Durability,
        (writer, reader): (SqlitePool, SqlitePool),
    ) -> Self {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        let state = Arc::new(State {
            log: log.into(),
            committed: Notify::new(),
            grown: Notify::new(),
            erased: Notify::new(),
            refused: Mutex::new(None),
        });
        let mut tasks = JoinSet::new();
        if durability == Durability::Group {
            tasks.spawn(sync_all(Arc::clone(&state)));
        }
        tasks.spawn(write_back_all(Arc::clone(&state), writer.clone()));
        tasks.spawn(shorten_all(Arc::clone(&state), writer, reader));
        Self {
            state,
            _tasks: tasks,
        }
    }

    /// Something was committed.
    pub(crate) fn committed(&self) {
        self.state.committed.notify_one();
        self.state.grown.notify_one();
    }

    /// Something was erased, and that was committed.
    pub(crate) fn erased(&self) {
        self.state.erased.notify_one();
    }

    /// Whether the disk took everything so far.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let refused = &self.state.refused;
        let refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
        match refused.as_ref() {
            None => Ok(()),
            Some(reason) => Err(StoreError::NotSynced {
                file: self.state.log.display().to_string(),
                reason: reason.clone(),
            }),
        }
    }
}

/// With `synchronous=NORMAL` a commit is in the system's memory and reaches the disk when the system
/// likes. Here the log is synced beside the commits, and nobody waits for it.
async fn sync_all(state: Arc<State>) {
    loop {
        state.committed.notified().await;
        tokio::time::sleep(SYNCED_WITHIN).await;
        match sync(&state.log).await {
            Ok(()) => {}
            // Everything was written back into the database, which was synced before.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(
                    %error,
                    log = %state.log.display(),
                    "the disk refused to sync; what was committed may not survive a power cut"
                );
                let refused = &state.refused;
                *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
        }
    }
}

/// Syncs through a descriptor of its own: what is synced is the file. The log carries no locks, so
/// closing the descriptor takes none away from the database.
async fn sync(log: &Path) -> std::io::Result<()> {
    File::open(log).await?.sync_data().await
}

/// What was erased still stands in the database until the log is written back, and older pages in
/// the log until it is cut off.
async fn write_back_all(state: Arc<State>, writer: SqlitePool) {
    loop {
        state.erased.notified().await;
        let mut tries = 0;
        while !is_written_back(&writer).await {
            tries += 1;
            if tries == WRITE_BACK_TRIES {
                tracing::warn!(
                    log = %state.log.display(),
                    "somebody has been reading for a minute: what was erased is still on the disk"
                );
            }
            tokio::time::sleep(WRITE_BACK_PAUSE).await;
        }
    }
}

async fn is_written_back(writer: &SqlitePool) -> bool {
    match checkpoint(writer, "TRUNCATE").await {
        Ok(log) => !log.is_busy,
        Err(StoreError::Closed) => true,
        Err(error) => {
            tracing::debug!(%error, "the log could not be written back; trying again");
            false
        }
    }
}

/// Keeps the log short. Commits do not: writing it back takes a tenth of a second, and whoever
/// happened to commit then would wait for it.
async fn shorten_all(state: Arc<State>, writer: SqlitePool, reader: SqlitePool) {
    loop {
        state.grown.notified().await;
        tokio::time::sleep(LOOK_EVERY).await;
        match shorten(&writer, &reader).await {
            Ok(()) => {}
            Err(StoreError::Closed) => return,
            Err(error) => tracing::warn!(%error, "the log could not be written back"),
        }
    }
}

async fn shorten(writer: &SqlitePool, reader: &SqlitePool) -> Result<(), StoreError> {
    let looked = checkpoint(reader, "NOOP").await?;
    if looked.pages - looked.written < LONG {
        return Ok(());
    }
    // Most of it while others write; then the writer waits for what came meanwhile. Where somebody
    // reads an older state, with a later commit again. The file stays as long as it is: pages that
    // are written over cost a third of new ones.
    checkpoint(reader, "PASSIVE").await?;
    checkpoint(writer, "RESTART").await?;
    Ok(())
}

/// What a look at the log, or writing it back, found.
struct Log {
    /// Somebody reads an older state, or writes.
    is_busy: bool,
    /// Pages in it.
    pages: i64,
    /// Those that stand in the database already.
    written: i64,
}

async fn checkpoint(pool: &SqlitePool, mode: &'static str) -> Result<Log, StoreError> {
    let mut lease = pool.lease().await?;
    let written = lease.call(move |connection| {
        let patience: i64 = connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0))?;
        connection.pragma_update(None, "busy_timeout", IN_THE_WAY_MS)?;
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let log = connection.query_row(&sql, [], |row| {
            Ok(Log {
                is_busy: row.get::<_, i64>(0)? != 0,
                pages: row.get(1)?,
                written: row.get(2)?,
            })
        });
        connection.pragma_update(None, "busy_timeout", patience)?;
        Ok(log?)
    });
    written.await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Manner;

    #[tokio::test]
    async fn a_disk_that_refuses_is_named_from_then_on() -> anyhow::Result<()> {
        // A device instead of a file: it takes what is written and refuses to sync.
        let folder = tempfile::tempdir()?;
        std::os::unix::fs::symlink("/dev/null", folder.path().join("a.db-wal"))?;
        let manner = Manner {
            begin: "BEGIN",
            patience: SYNCED_WITHIN,
            syncs: false,
        };
        let pool = SqlitePool::new(1, manner, rusqlite::Connection::open_in_memory);
        let pools = (pool.clone(), pool);
        let upkeep = Upkeep::start(&folder.path().join("a.db"), Durability::Group, pools);
        upkeep.check()?;
        upkeep.committed();
        let patience = SYNCED_WITHIN * 20;
        let error = nexus_testkit::wait_for(patience, "the disk to refuse", async || {
            Ok(upkeep.check().err())
        });
        let error = error.await?.to_string();
        assert!(
            error.contains("a.db-wal") && error.contains("restart"),
            "{error}"
        );
        Ok(())
    }
}
