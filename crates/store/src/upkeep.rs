//! What an `SQLite` file needs beside its transactions: its log synced within a second of a commit,
//! and written back soon after something was erased.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{Row, SqlitePool};
use tokio::fs::File;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::{Durability, StoreError};

/// The longest a commit stays unsynced, but for the time the disk takes.
const SYNCED_WITHIN: Duration = Duration::from_secs(1);
/// How long writers may wait for readers while the log is written back.
const IN_THE_WAY: &str = "PRAGMA busy_timeout = 100";
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
    erased: Notify,
    /// What the disk said when it refused. It stays: what was not written then is lost with the
    /// machine, whatever a later sync says.
    refused: Mutex<Option<String>>,
}

impl Upkeep {
    /// For this database file and the pool of its one writer.
    pub(crate) fn start(database: &Path, durability: Durability, writer: &SqlitePool) -> Self {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        let state = Arc::new(State {
            log: log.into(),
            committed: Notify::new(),
            erased: Notify::new(),
            refused: Mutex::new(None),
        });
        let mut tasks = JoinSet::new();
        if durability == Durability::Group {
            tasks.spawn(sync_all(Arc::clone(&state)));
        }
        tasks.spawn(write_back_all(Arc::clone(&state), writer.clone()));
        Self {
            state,
            _tasks: tasks,
        }
    }

    /// Something was committed.
    pub(crate) fn committed(&self) {
        self.state.committed.notify_one();
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
    match write_back(writer).await {
        Ok(done) => done,
        Err(sqlx::Error::PoolClosed) => true,
        Err(error) => {
            tracing::debug!(%error, "the log could not be written back; trying again");
            false
        }
    }
}

/// False: somebody reads an older state.
async fn write_back(writer: &SqlitePool) -> Result<bool, sqlx::Error> {
    let mut connection = writer.acquire().await?;
    let patience: i64 = sqlx::query_scalar("PRAGMA busy_timeout")
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query(IN_THE_WAY).execute(&mut *connection).await?;
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut *connection)
        .await;
    let patience = format!("PRAGMA busy_timeout = {patience}");
    sqlx::query(sqlx::AssertSqlSafe(patience))
        .execute(&mut *connection)
        .await?;
    Ok(row?.try_get::<i64, _>(0)? == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_that_refuses_is_named_from_then_on() -> anyhow::Result<()> {
        // A device instead of a file: it takes what is written and refuses to sync.
        let folder = tempfile::tempdir()?;
        std::os::unix::fs::symlink("/dev/null", folder.path().join("a.db-wal"))?;
        let writer = SqlitePool::connect_lazy("sqlite::memory:")?;
        let upkeep = Upkeep::start(&folder.path().join("a.db"), Durability::Group, &writer);
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
