//! How a server's program is started: by default in a sandbox, or not at all.

use std::collections::BTreeMap;
use std::process::Stdio;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::{Child, Command};

use crate::config::Confinement;

mod bubblewrap;
pub(crate) mod tail;

pub use bubblewrap::Bubblewrap;

/// Where programs are looked for, in the sandbox and outside.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What is to be started.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// Program and arguments; never empty.
    pub command: &'a [String],
    /// All variables the program may see.
    pub env: &'a BTreeMap<String, String>,
    /// What it can reach.
    pub sandbox: &'a Confinement,
}

/// A running program.
pub struct Launched {
    /// Its standard input.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output: the protocol.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Its standard error: for people.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// The program itself, with all it starts.
    pub process: Box<dyn Process>,
}

/// A started program and all it started.
#[async_trait]
pub trait Process: Send + Sync {
    /// Until the program ends. May be dropped and called again.
    async fn ended(&mut self);
    /// Kills the program and all it started. Dropping does the same.
    fn kill(&mut self);
}

/// Starts programs.
#[async_trait]
pub trait Launcher: Send + Sync {
    /// Starts one.
    ///
    /// # Errors
    /// Why not; nothing was started then.
    async fn launch(&self, launch: &Launch<'_>) -> Result<Launched, LaunchError>;
}

/// Why a program did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// There is nothing to confine it with.
    #[error(
        "no sandbox: {0} is missing; install bubblewrap, or say `sandbox: off` for this server to \
         give it all rights of this process"
    )]
    NoSandbox(String),
    /// Some part of the confinement is missing, or does not hold.
    #[error(
        "no sandbox: {0}; mend that, or say `sandbox: off` for this server to give it all rights of this process"
    )]
    Unconfined(String),
    /// A path of its sandbox is not there.
    #[error("`sandbox` lists {0}, which is not there")]
    NoPath(String),
    /// The system refused.
    #[error("{program} could not be started: {reason}")]
    Start {
        /// What was to be started.
        program: String,
        /// What the system says.
        reason: std::io::Error,
    },
}

/// Starts programs with all rights of this process: for tests alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

#[async_trait]
impl Launcher for Plain {
    async fn launch(&self, launch: &Launch<'_>) -> Result<Launched, LaunchError> {
        start(launch.command, launch.env)
    }
}

/// Starts `command` in a process group of its own that sees `env` and nothing else.
fn start(command: &[String], env: &BTreeMap<String, String>) -> Result<Launched, LaunchError> {
    let program = command.first().cloned().unwrap_or_default();
    let failed = |reason| LaunchError::Start {
        program: program.clone(),
        reason,
    };
    let mut child = Command::new(&program)
        .args(command.iter().skip(1))
        .env_clear()
        .env("PATH", PATH)
        .envs(env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let process = Box::new(Group::of(child));
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
    };
    Ok(Launched {
        stdin: Box::new(stdin),
        stdout: Box::new(stdout),
        stderr: Box::new(stderr),
        process,
    })
}

/// A child that leads a process group.
struct Group {
    child: Child,
    /// Its group, until it was killed: the number may be another's afterwards.
    leader: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            child,
            leader: id.and_then(Pid::from_raw),
        }
    }
}

#[async_trait]
impl Process for Group {
    async fn ended(&mut self) {
        // An error means that there is no child to wait for.
        let _ = self.child.wait().await;
    }

    fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            // The group is gone when its last process is.
            let _ = kill_process_group(leader, Signal::KILL);
        }
        let _ = self.child.start_kill();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
