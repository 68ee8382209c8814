//! Copies what was committed from the log into the file, beside the writer: a checkpoint syncs, and
//! nobody should wait for that.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::failure::{failure, file};
use super::schema::open_checkpoint;
use crate::{BusError, Durability};

/// Bytes of log after which it is worth a sync. The writer does what is left itself when the log
/// reaches `wal_autocheckpoint`; by then that is little.
const WORTH: usize = 8 * 1024 * 1024;
/// What a commit writes besides its records, roughly: a few pages.
const COMMIT: usize = 16 * 1024;

pub(super) struct Checkpoints {
    since: usize,
    due: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    pub(super) fn start(path: &Path, durability: Durability) -> Result<Self, BusError> {
        let connection = open_checkpoint(path, durability)?;
        // One is enough: whoever is asked twice looks at all there is.
        let (due, asked) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("bus-checkpoint".to_owned())
            .spawn(move || run(&connection, &asked))
            .map_err(|error| file(path, format!("no thread for checkpoints: {error}")))?;
        Ok(Self {
            since: 0,
            due,
            thread,
        })
    }

    /// A commit with records of this size was written.
    pub(super) fn wrote(&mut self, bytes: usize) {
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

fn run(connection: &Connection, asked: &Receiver<()>) {
    while asked.recv().is_ok() {
        // PASSIVE waits for nobody and nobody waits for it.
        let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = done {
            let path = Path::new(connection.path().unwrap_or_default());
            let error = failure(path, &error);
            tracing::warn!(%error, "checkpoint; the writer does it later");
        }
    }
}
