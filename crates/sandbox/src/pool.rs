//! Processes that wait, locked down, for their one call.

use std::{os::fd::OwnedFd, process::Stdio, time::Duration};

use tokio::{
    net::UnixStream,
    process::{ChildStderr, ChildStdout},
    sync::{Mutex, mpsc},
    task::JoinSet,
    time::sleep,
};

use crate::{Backend, Launcher, Process, SandboxError, bubblewrap::Streams};

/// One process with its ends of the conversation.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) process: Process,
    pub(crate) channel: UnixStream,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl Worker {
    pub(crate) async fn start(
        backend: &Backend,
        launcher: &Launcher,
    ) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Start {
            program: launcher.program().to_owned(),
            source,
        };
        // One socket both ways as its descriptor 0: no further descriptor has to be inherited.
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let streams = Streams {
            stdin: Stdio::from(OwnedFd::from(theirs)),
            stdout: Stdio::piped(),
            stderr: Stdio::piped(),
        };
        let mut process = backend.start(launcher, streams).await?;
        let (stdout, stderr) = (process.take_stdout(), process.take_stderr());
        Ok(Self {
            process,
            channel: UnixStream::from_std(ours).map_err(failed)?,
            stdout,
            stderr,
        })
    }
}

type Started = Result<Worker, SandboxError>;

/// The waiting processes. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct Pool {
    waiting: Mutex<mpsc::Receiver<Started>>,
    // Dropped with the pool, which ends the refilling.
    _refill: JoinSet<()>,
}

impl Pool {
    /// Keeps this many processes waiting, at least one.
    pub(crate) fn new(backend: Backend, launcher: Launcher, warm: usize) -> Self {
        // One more waits in the hands of the refilling task.
        let (to, waiting) = mpsc::channel(warm.saturating_sub(1).max(1));
        let mut refill = JoinSet::new();
        refill.spawn(keep_filled(backend, launcher, to));
        Self {
            waiting: Mutex::new(waiting),
            _refill: refill,
        }
    }

    /// The next process, in the order they were started. It may have ended while it waited.
    pub(crate) async fn take(&self) -> Started {
        self.waiting
            .lock()
            .await
            .recv()
            .await
            .ok_or(SandboxError::Closed)?
    }
}

async fn keep_filled(backend: Backend, launcher: Launcher, to: mpsc::Sender<Started>) {
    loop {
        let started = Worker::start(&backend, &launcher).await;
        let failed = started.is_err();
        if to.send(started).await.is_err() {
            return;
        }
        if failed {
            // The caller has its error; a machine out of processes gets time to recover.
            sleep(Duration::from_millis(100)).await;
        }
    }
}
