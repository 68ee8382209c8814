//! Programs as children of a test: lines captured, signals sent, nothing left running.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

mod lines;
mod signal;
mod spawn;

use lines::{Lines, Stream};
pub use signal::Signal;
pub use spawn::Spawn;
pub(crate) use spawn::User;

use crate::wait::{wait_for, wait_until};

/// How long a dropped child may take to end before it is killed.
const DROP_GRACE: Duration = Duration::from_secs(3);
/// How long the outputs of a child that ended may take to be read to their end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A running child. Dropping it ends it and everything in its process group.
pub struct Spawned {
    program: PathBuf,
    child: Option<Child>,
    group: u32,
    stdin: Option<ChildStdin>,
    lines: Lines,
    status: Option<ExitStatus>,
    on_drop: Signal,
}

impl Spawned {
    /// The process id, which is also the id of its process group.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.group
    }

    /// Lines of standard output so far.
    #[must_use]
    pub fn stdout(&self) -> Vec<String> {
        self.lines.of(Stream::Stdout)
    }

    /// Lines of standard error so far.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        self.lines.of(Stream::Stderr)
    }

    /// Both outputs so far, as one text, in the order in which the lines were read.
    #[must_use]
    pub fn output(&self) -> String {
        let lines = self.lines.lock();
        lines
            .iter()
            .map(|(_, line)| line.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Waits for a line, on either output, that contains `text`, and gives it.
    ///
    /// # Errors
    /// When `timeout` passes or the child ends without such a line; with its output.
    pub async fn wait_line(&mut self, timeout: Duration, text: &str) -> Result<String> {
        let what = format!("a line with {text:?}");
        self.wait_in_lines(timeout, &what, |line| {
            line.contains(text).then(|| line.to_owned())
        })
        .await
    }

    /// Waits for a line, on either output, in which `find` finds something, and gives that.
    ///
    /// # Errors
    /// As [`Spawned::wait_line`].
    pub async fn wait_in_lines<T>(
        &mut self,
        timeout: Duration,
        what: &str,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let found = wait_for(timeout, what, async || {
            // In this order: a child that ended has written all it will write.
            let ended = self.try_status()?.filter(|_| self.lines.are_complete());
            let found = self.lines.lock().iter().find_map(|(_, line)| find(line));
            Ok(match (found, ended) {
                (Some(found), _) => Some(Ok(found)),
                (None, Some(status)) => Some(Err(status)),
                (None, None) => None,
            })
        })
        .await
        .with_context(|| self.describe())?;
        found.map_err(|status| {
            anyhow::anyhow!("ended ({status}) before {what}").context(self.describe())
        })
    }

    fn describe(&self) -> String {
        format!("{} wrote:\n{}", self.program.display(), self.output())
    }

    /// Writes a line to the child's standard input.
    ///
    /// # Errors
    /// Without [`Spawn::with_stdin`], after [`Spawned::close_stdin`], or when the child is gone.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        let stdin = self
            .stdin
            .as_mut()
            .context("the child's standard input is not open")?;
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .context("write to the child")
    }

    /// Ends the child's standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal to the child's process group.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // A reaped child's number may already belong to somebody else.
        if let Some(status) = self.status {
            bail!("{} has already ended ({status})", self.program.display());
        }
        signal.send(self.group)
    }

    /// The exit status if the child has ended.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn try_status(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none()
            && let Some(child) = &mut self.child
        {
            self.status = child.try_wait().context("ask for the child's status")?;
        }
        Ok(self.status)
    }

    /// Waits until the child has ended and what it wrote has been read.
    ///
    /// # Errors
    /// When it is still running after `timeout`; with its output.
    pub async fn wait_exit(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.program.display());
        let status = wait_for(timeout, &what, async || self.try_status())
            .await
            .with_context(|| self.describe())?;
        // A grandchild may hold the pipes open for long: that is no reason to fail.
        let read = wait_until(LAST_LINES, "the last lines", async || {
            Ok(self.lines.are_complete())
        });
        let _ = read.await;
        Ok(status)
    }

    /// Asks the child to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// When it is already gone, or still running after `timeout`.
    pub async fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus> {
        self.signal(Signal::Terminate)?;
        self.wait_exit(timeout).await
    }

    /// Kills the child (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// When it is already gone.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::Kill)?;
        self.wait_exit(DROP_GRACE).await
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        if self.status.is_some() || matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        // Errors mean that it has just ended by itself.
        let _ = self.on_drop.send(self.group);
        let (ended, waiter) = mpsc::channel();
        let reaper = std::thread::spawn(move || {
            let _ = child.wait();
            let _ = ended.send(());
        });
        if waiter.recv_timeout(DROP_GRACE).is_err() {
            let _ = Signal::Kill.send(self.group);
        }
        let _ = reaper.join();
    }
}
