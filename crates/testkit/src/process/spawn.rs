//! Starting a child so that nothing outlives the test.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};

use anyhow::{Context, Result, bail};

use super::Spawned;
use super::lines::{Lines, Stream};
use super::signal::Signal;

/// Somebody else to run a program as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    fn options(self) -> [String; 3] {
        let Self { uid, gid } = self;
        [
            format!("--reuid={uid}"),
            format!("--regid={gid}"),
            "--clear-groups".to_owned(),
        ]
    }

    /// A command that runs `program` as this user.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(self.options()).arg("--").arg(program);
        command
    }
}

impl std::fmt::Display for User {
    /// As `chown` takes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// How to start a program.
#[derive(Clone, Debug)]
pub struct Spawn {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    user: Option<User>,
    stdin: bool,
    on_drop: Signal,
}

impl Spawn {
    /// The program at this path, or of this name on the search path.
    #[must_use]
    pub fn new(program: impl AsRef<Path>) -> Self {
        Self {
            program: program.as_ref().to_path_buf(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            user: None,
            stdin: false,
            on_drop: Signal::Kill,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_os_string());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_os_string()));
        self
    }

    /// Sets an environment variable of the child; the others are inherited.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_os_string(), value.as_ref().to_os_string()));
        self
    }

    /// The folder the program starts in.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_path_buf());
        self
    }

    /// Keeps the child's standard input open for [`Spawned::send_line`]; otherwise it is empty.
    #[must_use]
    pub const fn with_stdin(mut self) -> Self {
        self.stdin = true;
        self
    }

    /// Runs the program as this user. Only root can.
    #[must_use]
    pub(crate) const fn user(mut self, user: Option<User>) -> Self {
        self.user = user;
        self
    }

    /// What a drop sends first; SIGKILL follows after three seconds.
    #[must_use]
    pub(crate) const fn on_drop(mut self, signal: Signal) -> Self {
        self.on_drop = signal;
        self
    }

    /// Starts the program in a process group of its own.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(self) -> Result<Spawned> {
        let (program, on_drop, stdin) = (self.program.clone(), self.on_drop, self.stdin);
        let what = format!("start {}", program.display());
        // setpriv would start and then fail: the clear message is ours to give.
        if program.components().count() > 1 && !program.exists() {
            bail!("{what}: there is no such file");
        }
        let mut child = spawn_on_lasting_thread(self.command()).context(what)?;
        let lines = Lines::default();
        if let Some(pipe) = child.stdout.take() {
            lines.collect(Stream::Stdout, pipe);
        }
        if let Some(pipe) = child.stderr.take() {
            lines.collect(Stream::Stderr, pipe);
        }
        let stdin = if stdin { child.stdin.take() } else { None };
        let group = child.id();
        Ok(Spawned {
            program,
            child: Some(child),
            group,
            stdin,
            lines,
            status: None,
            on_drop,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(user) = self.user {
            command.args(user.options());
        }
        command
            .arg("--")
            .arg(&self.program)
            .args(&self.args)
            .envs(self.env.iter().cloned());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.stdin(if self.stdin {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        command
    }
}

type Request = (Command, mpsc::Sender<std::io::Result<Child>>);

/// The kernel sends the parent-death signal when the *thread* that forked ends, and the threads of
/// a runtime come and go. So one thread that lasts as long as the process starts every child.
fn spawn_on_lasting_thread(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, inbox) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Nobody waits any more only if the caller's thread is gone: the child is then
                // dropped here and dies with this process.
                let _ = answer.send(command.spawn());
            }
        });
        requests
    });
    let (answer, child) = mpsc::channel();
    spawner
        .send((command, answer))
        .context("the thread that starts children is gone")?;
    Ok(child
        .recv()
        .context("the thread that starts children is gone")??)
}
