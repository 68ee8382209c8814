//! Any program in bubblewrap: its own namespaces, an empty tree with what it is given, no network unless it
//! is wanted, limits and a system call filter.
//!
//! ```no_run
//! # use std::path::Path;
//! # use nexus_sandbox::{Launcher, bubblewrap::{Confined, Streams}};
//! # async fn example() -> Result<(), nexus_sandbox::SandboxError> {
//! let launcher = Launcher::new(Path::new("/usr/libexec/nexus-sandbox"))?;
//! let server = Confined::new("/usr/bin/python3")
//!     .args(["-m", "some_mcp_server"])
//!     .system_files()
//!     .variable("API_KEY", "it sees this one and no other")
//!     .memory("/tmp", 16 << 20);
//! let mut process = launcher.confine(&server, Streams::piped()).await?;
//! let (stdin, stdout) = (process.take_stdin(), process.take_stdout());
//! # Ok(())
//! # }
//! ```

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{Launcher, Process, SandboxError, launcher::Start};

mod mount;
mod verify;

use mount::{DEVICES, Mount, NETWORK, STREAMS, SYSTEM, words};

/// Where the confining program appears within.
const INNER: &str = "/.nexus-sandbox";

/// Which system calls it may make. All of them exclude namespaces, mounts, tracing, keys, `bpf`, `io_uring`,
/// `userfaultfd`, `perf`, kernel modules, files in memory and terminal injection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    /// Threads, but neither processes nor sockets other than pairs.
    Code,
    /// Processes and Unix sockets too.
    Program,
    /// Internet sockets too.
    Network,
}

/// What a confined program may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Processes and threads together.
    pub tasks: u32,
    /// Writable private memory of each process, in bytes. Not address space: some runtimes reserve far
    /// more of that than they use. All processes together may have `tasks` times as much.
    pub memory: u64,
    /// Open descriptors of each process.
    pub descriptors: u32,
    /// The largest file it can make, in bytes.
    pub file: u64,
}

impl Default for Ceiling {
    fn default() -> Self {
        Self {
            tasks: 64,
            memory: 1 << 30,
            descriptors: 256,
            file: 256 << 20,
        }
    }
}

/// A program to be run confined.
#[derive(Debug, Clone)]
pub struct Confined {
    bubblewrap: PathBuf,
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    mounts: Vec<Mount>,
    folder: PathBuf,
    calls: Calls,
    ceiling: Ceiling,
    own_user: bool,
}

impl Confined {
    /// A program by its path within. It sees nothing but the devices of zeros, nothing and chance.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            bubblewrap: "/usr/bin/bwrap".into(),
            program: program.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            mounts: DEVICES.map(Mount::Device).into(),
            folder: "/".into(),
            calls: Calls::Program,
            ceiling: Ceiling::default(),
            own_user: true,
        }
    }

    /// Where bubblewrap is; `/usr/bin/bwrap` if not said.
    #[must_use]
    pub fn bubblewrap(mut self, path: impl Into<PathBuf>) -> Self {
        self.bubblewrap = path.into();
        self
    }

    /// Its arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// A variable of its environment, which holds nothing else but `PWD`. Other users of the machine cannot
    /// read it: it travels as environment, never in arguments.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// A file or folder it may read, at the same path.
    #[must_use]
    pub fn read_only(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.read_only_at(path.clone(), path)
    }

    /// A file or folder it may read, at another path.
    #[must_use]
    pub fn read_only_at(mut self, from: impl Into<PathBuf>, at: impl Into<PathBuf>) -> Self {
        self.mounts.push(Mount::ReadOnly(from.into(), at.into()));
        self
    }

    /// A file or folder it may change, at another path. Started as root it runs as a user of its own, who
    /// must be let in by the folder's permissions: or see [`keep_user`](Self::keep_user).
    #[must_use]
    pub fn writable(mut self, from: impl Into<PathBuf>, at: impl Into<PathBuf>) -> Self {
        self.mounts.push(Mount::Writable(from.into(), at.into()));
        self
    }

    /// A folder in memory of at most this many bytes, gone with the program.
    #[must_use]
    pub fn memory(mut self, at: impl Into<PathBuf>, bytes: u64) -> Self {
        self.mounts.push(Mount::Memory(at.into(), bytes));
        self
    }

    /// The programs and libraries of this machine, read-only: `/usr` and the links to it, the loader's cache,
    /// public certificates; no private keys, no other configuration and no home.
    #[must_use]
    pub fn system_files(self) -> Self {
        SYSTEM
            .iter()
            .fold(self, |all, path| all.here_too(Path::new(path)))
    }

    /// Its own processes in `/proc`, which most runtimes look at, and by way of them its streams in `/dev`.
    #[must_use]
    pub fn processes(mut self) -> Self {
        self.mounts.push(Mount::Processes);
        let links = STREAMS.map(|(target, at)| Mount::Link(target.into(), at.into()));
        self.mounts.extend(links);
        self
    }

    /// What is at a path of this machine: a link as a link, anything else read-only, nothing as nothing.
    ///
    /// In `/etc` what a link leads to is put in its place: it may lie where nothing is let in.
    pub(crate) fn here_too(mut self, path: &Path) -> Self {
        let link = std::fs::read_link(path).ok();
        match link.filter(|_| !path.starts_with("/etc")) {
            Some(target) => self.mounts.push(Mount::Link(target, path.to_owned())),
            None if path.exists() => return self.read_only(path),
            None => {}
        }
        self
    }

    /// Lets it use this machine's network, all of it: also what listens on loopback and abstract sockets.
    /// It sees the files that resolving names needs.
    #[must_use]
    pub fn with_network(mut self) -> Self {
        self.calls = Calls::Network;
        NETWORK
            .iter()
            .fold(self, |all, path| all.here_too(Path::new(path)))
    }

    /// The folder it starts in.
    #[must_use]
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folder = path.into();
        self
    }

    /// What it may use.
    #[must_use]
    pub const fn ceiling(mut self, ceiling: Ceiling) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// Started as root, it keeps root's number (with no right) instead of one that nobody else has. Then
    /// the limit on tasks does not hold: the kernel does not apply it to root.
    #[must_use]
    pub const fn keep_user(mut self) -> Self {
        self.own_user = false;
        self
    }

    pub(crate) const fn calls(mut self, calls: Calls) -> Self {
        self.calls = calls;
        self
    }

    /// The arguments of the confining program `worker`, started by the process `parent`.
    fn arguments(&self, worker: &Path, parent: u32) -> Vec<OsString> {
        let mut all = words(["confine", "--parent", &parent.to_string()]);
        if self.own_user {
            all.extend(words(["--own-user"]));
        }
        all.extend(words(["--"]));
        all.push(self.bubblewrap.clone().into());
        // `--unshare-all` alone would go on without a user namespace where there is none.
        all.extend(words([
            "--unshare-user",
            "--unshare-all",
            "--die-with-parent",
        ]));
        if self.calls == Calls::Network {
            all.extend(words(["--share-net"]));
        }
        all.extend(words(["--hostname", "sandbox", "--cap-drop", "ALL"]));
        // For one remount, which bounds the inodes of memory folders, and for giving up both: see `inner`.
        all.extend(words([
            "--cap-add",
            "CAP_SYS_ADMIN",
            "--cap-add",
            "CAP_SETPCAP",
        ]));
        for mount in &self.mounts {
            all.extend(mount.arguments());
        }
        all.extend(["--ro-bind".into(), worker.into(), INNER.into()]);
        all.extend(words(["--remount-ro", "/", "--chdir"]));
        all.push(self.folder.clone().into());
        all.extend(words(["--", INNER, "inner"]));
        all.extend(self.inner());
        all.extend(words(["--"]));
        all.push(self.program.clone().into());
        all.extend(self.arguments.iter().cloned());
        all
    }

    fn inner(&self) -> Vec<OsString> {
        let calls = match self.calls {
            Calls::Code => "code",
            Calls::Program => "program",
            Calls::Network => "network",
        };
        let Ceiling {
            tasks,
            memory,
            descriptors,
            file,
        } = self.ceiling;
        let mut all = words(["--calls", calls]);
        for (name, value) in [
            ("--tasks", u64::from(tasks)),
            ("--memory", memory),
            ("--descriptors", descriptors.into()),
            ("--file", file),
        ] {
            all.extend(words([name, &value.to_string()]));
        }
        for mount in &self.mounts {
            if let Mount::Memory(at, bytes) = mount {
                all.extend(["--folder".into(), at.into(), bytes.to_string().into()]);
            }
        }
        all
    }
}

/// Where a confined program's standard streams lead.
#[derive(Debug)]
pub struct Streams {
    /// Input.
    pub stdin: Stdio,
    /// Output.
    pub stdout: Stdio,
    /// Errors.
    pub stderr: Stdio,
}

impl Streams {
    /// All three to the starter.
    #[must_use]
    pub fn piped() -> Self {
        Self {
            stdin: Stdio::piped(),
            stdout: Stdio::piped(),
            stderr: Stdio::piped(),
        }
    }
}

impl Launcher {
    /// Starts a program confined. What it needs and lacks it says on its standard error.
    ///
    /// # Errors
    /// [`SandboxError::Start`] when the confining program cannot be started.
    pub async fn confine(
        &self,
        what: &Confined,
        streams: Streams,
    ) -> Result<Process, SandboxError> {
        self.start(Start {
            arguments: what.arguments(self.program(), std::process::id()),
            variables: what.variables.clone(),
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr,
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(what: &Confined) -> String {
        let all = what.arguments(Path::new("/w"), 7);
        all.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn no_network_and_no_variable_in_arguments_unless_wanted() {
        let plain = Confined::new("/bin/true").variable("KEY", "secret");
        let text = shown(&plain);
        assert!(
            text.contains("--unshare-all") && !text.contains("--share-net"),
            "{text}"
        );
        assert!(!text.contains("secret") && !text.contains("KEY"), "{text}");
        assert!(shown(&plain.with_network()).contains("--share-net"));
    }

    #[test]
    fn every_memory_folder_is_bounded_twice() {
        let text = shown(&Confined::new("/bin/true").memory("/tmp", 4096));
        assert!(text.contains("--size 4096 --tmpfs /tmp"), "{text}");
        assert!(text.contains("--folder /tmp 4096 -- /bin/true"), "{text}");
    }
}
