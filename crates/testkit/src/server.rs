//! The life of a server that a test owns, whichever it is.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use uuid::Uuid;

use crate::ports::free_port;
use crate::process::{Signal, Spawn, Spawned};
use crate::wait::wait_for;

/// How long a server may take to be ready. Generous: on a busy machine everything is slow.
const READY: Duration = Duration::from_secs(30);
/// How often another port is tried.
const PORT_TRIES: usize = 10;

/// A short name that no other test uses: for channels, tables, databases, subjects.
#[must_use]
pub fn prefix() -> String {
    let id = Uuid::now_v7().simple().to_string();
    // The tail is the random part of the id; the head is the time.
    format!("t{}", id.split_at(18).1)
}

/// What differs between the servers.
pub(crate) trait Kind: Send + Sync {
    /// The name in messages.
    const NAME: &'static str;
    /// How to start it on this port, with its data in this folder.
    fn spawn(&self, port: u16, dir: &Path) -> Spawn;
    /// Whether the server that answers on the port is this child, and ready. `Err` is "not yet".
    fn is_ready(&self, server: Look<'_>) -> impl Future<Output = Result<bool>> + Send;
}

/// What a readiness check may look at.
pub(crate) struct Look<'a> {
    pub(crate) port: u16,
    pub(crate) pid: u32,
    pub(crate) dir: &'a Path,
}

/// A server, its port and its folder.
pub(crate) struct Server<K> {
    kind: K,
    port: u16,
    // Before the folder: fields drop in order, and the server must be gone first.
    running: Option<Spawned>,
    dir: TempDir,
}

impl<K: Kind> Server<K> {
    /// Starts on a free port with `dir` as the data folder.
    pub(crate) async fn start_new(kind: K, dir: TempDir) -> Result<Self> {
        let mut server = Self {
            kind,
            port: 0,
            running: None,
            dir,
        };
        let mut failure = anyhow::anyhow!("no port was tried");
        for _ in 0..PORT_TRIES {
            server.port = free_port()?;
            match server.start().await {
                Ok(()) => return Ok(server),
                Err(error) => failure = error,
            }
        }
        Err(failure.context(format!(
            "{} did not start on any of {PORT_TRIES} ports",
            K::NAME
        )))
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Starts on the port it had, with the data it had.
    pub(crate) async fn start(&mut self) -> Result<()> {
        if self.running.is_some() {
            bail!("{} is already running on port {}", K::NAME, self.port);
        }
        let mut child = self
            .kind
            .spawn(self.port, self.dir.path())
            .start()
            .with_context(|| {
                format!(
                    "{} is needed by this test; scripts/test installs it",
                    K::NAME
                )
            })?;
        let ready = wait_for(READY, K::NAME, async || {
            if let Some(status) = child.try_status()? {
                return Ok(Some(Err(status)));
            }
            let look = Look {
                port: self.port,
                pid: child.pid(),
                dir: self.dir.path(),
            };
            Ok(self.kind.is_ready(look).await?.then_some(Ok(())))
        })
        .await
        .with_context(|| format!("{} wrote:\n{}", K::NAME, child.output()))?;
        if let Err(status) = ready {
            bail!("{} ended at once ({status}):\n{}", K::NAME, child.output());
        }
        self.running = Some(child);
        Ok(())
    }

    /// SIGKILL; gone when this returns.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let mut child = self.running.take().with_context(|| Self::not_running())?;
        child.kill().await?;
        Ok(())
    }

    /// SIGTERM, so that it writes what it holds; gone when this returns.
    pub(crate) async fn stop(&mut self, signal: Signal) -> Result<()> {
        let mut child = self.running.take().with_context(|| Self::not_running())?;
        child.signal(signal)?;
        child.wait_exit(READY).await?;
        Ok(())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.running
            .as_ref()
            .with_context(|| Self::not_running())?
            .signal(signal)
    }

    pub(crate) const fn kind(&self) -> &K {
        &self.kind
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn not_running() -> String {
        format!("{} is not running", K::NAME)
    }
}
