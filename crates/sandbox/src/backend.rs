use std::path::{Path, PathBuf};

use crate::{
    Launcher, Process, SandboxError,
    bubblewrap::{Calls, Ceiling, Confined, Streams},
    launcher::Start,
};

/// The program that runs in CPython: reads the order, runs the code, answers.
const HARNESS: &str = include_str!("harness.py");

/// Where code in CPython runs, and finds and leaves its files.
const FOLDER: &str = "/work";

/// Which interpreter runs the code, and in what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Pydantic's Python interpreter in a process that can do nothing but read, write and compute.
    Monty,
    /// CPython in bubblewrap.
    PythonFull(PythonFull),
}

/// What CPython in bubblewrap needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonFull {
    /// bubblewrap, 0.7 or newer.
    pub bubblewrap: PathBuf,
    /// CPython 3.8 or newer. Its own files must be under [`read_only`](Self::read_only).
    pub python: PathBuf,
    /// What of this machine's files the code can read: libraries and nothing else.
    pub read_only: Vec<PathBuf>,
    /// Bytes of the folder in memory that the code works in.
    pub folder: u64,
    /// Threads the code may have.
    pub threads: u32,
}

impl Default for PythonFull {
    /// The system's bubblewrap and Python, with the libraries of Debian, Fedora and their kin.
    fn default() -> Self {
        let libraries = [
            "/usr/lib",
            "/usr/lib64",
            "/lib",
            "/lib64",
            "/etc/ld.so.cache",
            "/usr/share/zoneinfo",
        ];
        Self {
            bubblewrap: "/usr/bin/bwrap".into(),
            python: "/usr/bin/python3".into(),
            read_only: libraries.map(PathBuf::from).into(),
            folder: 64 << 20,
            threads: 32,
        }
    }
}

impl Backend {
    /// `monty` or `python-full`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Monty => "monty",
            Self::PythonFull(_) => "python-full",
        }
    }

    /// Starts one process that locks itself down and waits for its order.
    pub(crate) async fn start(
        &self,
        launcher: &Launcher,
        streams: Streams,
    ) -> Result<Process, SandboxError> {
        match self {
            Self::Monty => {
                let parent = std::process::id().to_string();
                let start = Start {
                    arguments: ["monty", "--parent", &parent].map(Into::into).into(),
                    variables: Vec::new(),
                    stdin: streams.stdin,
                    stdout: streams.stdout,
                    stderr: streams.stderr,
                };
                launcher.start(start).await
            }
            Self::PythonFull(python) => launcher.confine(&python.confined(), streams).await,
        }
    }
}

impl PythonFull {
    fn confined(&self) -> Confined {
        // The file behind the name: distributions make the name a link.
        let python = self
            .python
            .canonicalize()
            .unwrap_or_else(|_| self.python.clone());
        let ceiling = Ceiling {
            tasks: self.threads.saturating_add(4),
            // The harness sets the address space by the call's own limit.
            memory: crate::Limits::CEILING.memory,
            descriptors: 128,
            file: self.folder,
        };
        // -I: no variables, no user's site. -B: no bytecode files. -u: nothing printed is lost when killed.
        let confined = Confined::new(&python)
            .bubblewrap(&self.bubblewrap)
            .args(["-I", "-B", "-u", "-c", HARNESS, FOLDER])
            .read_only(&python)
            .memory(FOLDER, self.folder)
            .folder(FOLDER)
            .ceiling(ceiling)
            .calls(Calls::Code);
        self.read_only
            .iter()
            .map(PathBuf::as_path)
            .fold(confined, |all, path: &Path| all.here_too(path))
    }
}
