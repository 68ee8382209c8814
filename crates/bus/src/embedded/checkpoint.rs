//! Copies what was committed from the log into the file, beside the writer, and syncs the log: both
//! take a while, and nobody should wait for them.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::failure::{failure, file};
use super::schema::open_checkpoint;
use crate::{BusError, Durability};

/// Bytes of log after which it is worth a sync. The writer does what is left itself when the log
/// reaches `wal_autocheckpoint`; by then that is little.
const WORTH: usize = 8 * 1024 * 1024;
/// What a commit writes besides its records, roughly: a few pages.
const COMMIT: usize = 16 * 1024;
/// With [`Durability::Group`], the longest a commit stays unsynced, but for the time the disk takes.
const SYNCED_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Checkpoints {
    since: usize,
    due: SyncSender<()>,
    /// Something was committed that is not synced.
    unsynced: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    pub(super) fn start(path: &Path, durability: Durability) -> Result<Self, BusError> {
        let connection = open_checkpoint(path, durability)?;
        // One is enough: whoever is asked twice looks at all there is.
        let (due, asked) = sync_channel(1);
        let unsynced = Arc::new(AtomicBool::new(false));
        let log = (durability == Durability::Group).then(|| Log {
            path: log_of(path),
            unsynced: Arc::clone(&unsynced),
        });
        let thread = std::thread::Builder::new()
            .name("bus-checkpoint".to_owned())
            .spawn(move || run(&connection, &asked, log.as_ref()))
            .map_err(|error| file(path, format!("no thread for checkpoints: {error}")))?;
        Ok(Self {
            since: 0,
            due,
            unsynced,
            thread,
        })
    }

    /// A commit with records of this size was written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.unsynced.store(true, Ordering::Release);
        self.since += COMMIT + bytes;
        if self.since > WORTH {
            self.since = 0;
            // Full: it is at it, or about to be.
            let _ = self.due.try_send(());
        }
    }

    /// Lets go of the file.
    pub(super) fn stop(self) {
        drop(self.due);
        // A panic there has been reported by the thread itself.
        let _ = self.thread.join();
    }
}

fn run(connection: &Connection, asked: &Receiver<()>, log: Option<&Log>) {
    loop {
        let next = match log {
            Some(_) => asked.recv_timeout(SYNCED_WITHIN),
            None => asked.recv().map_err(|_gone| RecvTimeoutError::Disconnected),
        };
        match (next, log) {
            (Ok(()), _) => checkpoint(connection),
            (Err(RecvTimeoutError::Timeout), Some(log)) => log.sync(),
            (Err(_), _) => return,
        }
    }
}

fn checkpoint(connection: &Connection) {
    // PASSIVE waits for nobody and nobody waits for it.
    let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = done {
        let path = Path::new(connection.path().unwrap_or_default());
        let error = failure(path, &error);
        tracing::warn!(%error, "checkpoint; the writer does it later");
    }
}

/// The file that commits go to first.
struct Log {
    path: PathBuf,
    unsynced: Arc<AtomicBool>,
}

fn log_of(database: &Path) -> PathBuf {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

impl Log {
    /// Syncs what was committed, through a descriptor of its own: what is synced is the file.
    fn sync(&self) {
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return;
        }
        match File::open(&self.path).and_then(|log| log.sync_data()) {
            Ok(()) => {}
            // Written back into the file, which was synced before.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => tracing::error!(
                %error,
                log = %self.path.display(),
                "the disk refused to sync; what was acknowledged may not survive a power cut"
            ),
        }
    }
}
