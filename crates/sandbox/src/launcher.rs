use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, mpsc},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    runtime::Handle,
    sync::oneshot,
};

use crate::SandboxError;

struct Order {
    command: Command,
    launcher: Launcher,
    done: oneshot::Sender<std::io::Result<Process>>,
}

/// Starts confined processes, all from one thread that lives as long as any of them is wanted.
///
/// Why a thread of its own: the kernel kills a child whose parent-death signal is set when the *thread* that
/// started it ends, not the process. A thread of the runtime's blocking pool ends after ten idle seconds.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: Arc<Path>,
    orders: mpsc::Sender<Order>,
}

impl Launcher {
    /// A launcher that confines with this `nexus-sandbox` program. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`SandboxError::Start`] when the program is not there or no thread can be started.
    pub fn new(program: &Path) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Start {
            program: program.to_owned(),
            source,
        };
        let whole = program.canonicalize().map_err(failed)?;
        let runtime = Handle::try_current().map_err(|e| failed(std::io::Error::other(e)))?;
        let (orders, queue) = mpsc::channel::<Order>();
        std::thread::Builder::new()
            .name("sandbox-launcher".to_owned())
            .spawn(move || {
                for mut order in queue {
                    let _context = runtime.enter();
                    // Whole, so that whoever drops it kills all of it: a caller that goes away just now, or
                    // went away. Without its monitor a bubblewrap that is starting waits for ever.
                    let started = order.command.spawn().map(|child| Process {
                        child,
                        _launcher: order.launcher,
                    });
                    drop(order.done.send(started));
                }
            })
            .map_err(failed)?;
        Ok(Self {
            program: whole.into(),
            orders,
        })
    }

    /// The program that confines.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Starts the confining program with these arguments, variables and streams. It inherits no variable.
    pub(crate) async fn start(&self, start: Start) -> Result<Process, SandboxError> {
        let failed = |source| SandboxError::Start {
            program: PathBuf::from(&*self.program),
            source,
        };
        let mut command = Command::new(&*self.program);
        command
            .args(&start.arguments)
            .env_clear()
            .envs(start.variables)
            .current_dir("/");
        command
            .stdin(start.stdin)
            .stdout(start.stdout)
            .stderr(start.stderr);
        // It begins a session of its own.
        command.kill_on_drop(true);
        let (done, started) = oneshot::channel();
        self.orders
            .send(Order {
                command,
                launcher: self.clone(),
                done,
            })
            .map_err(|_gone| SandboxError::Closed)?;
        let started = started.await.map_err(|_gone| SandboxError::Closed)?;
        started.map_err(failed)
    }
}

/// What [`Launcher::start`] needs.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) arguments: Vec<OsString>,
    pub(crate) variables: Vec<(OsString, OsString)>,
    pub(crate) stdin: Stdio,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
}

/// A confined process and everything it started. Dropping it kills all of them.
#[derive(Debug)]
pub struct Process {
    child: Child,
    // Keeps the thread that the process hangs on.
    _launcher: Launcher,
}

impl Process {
    /// The id of the outermost process, until it was waited for.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its standard input, once, where it was piped.
    pub const fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, where it was piped.
    pub const fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard error, once, where it was piped.
    pub const fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Ends it and everything it started, at once. In bubblewrap the namespace falls with its first process.
    pub fn kill(&self) {
        // Before the process is waited for, its number can belong to nobody else.
        let first = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let Some(first) = first else { return };
        // Its group, and itself: just started it does not lead one yet, and is alone.
        let ended = kill_process_group(first, Signal::KILL);
        if let Err(error) = ended.or_else(|_none| kill_process(first, Signal::KILL)) {
            tracing::debug!(%error, "a sandbox process was gone before it was killed");
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// What the system says.
    pub async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
