//! What the executor and one confined process say to each other: frames of JSON over one socket.
//!
//! A process says [`Hello`] once it is locked down, reads one [`Order`], answers with one [`Reply`] and
//! ends. Standard output and error are no part of it: they are pipes of their own, so whatever the code
//! prints can imitate nothing. The child is hostile in every byte it sends: see [`frame`].

pub mod base64_bytes;
pub mod frame;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Limits;

/// The version of everything here; both sides refuse another.
pub const VERSION: u8 = 1;

/// A file's name may have this many bytes.
pub const MAX_NAME: usize = 128;

/// The first frame of a process, sent when it is locked down and waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `monty` or `python-full`.
    pub backend: String,
    /// Variables found in the environment when the process started.
    pub environment: u32,
    /// Descriptors found open beyond the three of the protocol.
    pub descriptors: u32,
    /// Whether the system call filter is on.
    pub seccomp: bool,
    /// What of Landlock the kernel enforces: `full`, `partial` or `none`.
    pub landlock: String,
}

/// What a process is asked to do, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Run code.
    Run(Request),
    /// Try something forbidden and say whether it was possible: the self-test's question.
    Probe {
        /// What to try.
        what: Probe,
    },
}

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// Python.
    pub code: String,
    /// What it may use.
    pub limits: Limits,
    /// Files it finds.
    pub files: Vec<FileData>,
    /// The time `datetime.now()` gives, in milliseconds since 1970; without it there is none.
    pub now_ms: Option<i64>,
}

/// A file by name and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileData {
    /// A bare name; see [`check_name`].
    pub name: String,
    /// Its bytes, base64 on the wire.
    #[serde(with = "base64_bytes")]
    pub data: Vec<u8>,
}

/// Things that must be impossible for a locked process, whatever runs in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Open a file that everybody may read.
    OpenFile,
    /// Make an internet socket.
    Socket,
    /// Start a process.
    Fork,
    /// Become another program.
    Exec,
    /// Start a thread.
    Thread,
    /// Trace another process.
    Ptrace,
    /// Make a namespace.
    Unshare,
    /// Make a file in memory.
    Memfd,
    /// Map memory that can be executed.
    ExecutableMemory,
}

impl Probe {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::OpenFile,
        Self::Socket,
        Self::Fork,
        Self::Exec,
        Self::Thread,
        Self::Ptrace,
        Self::Unshare,
        Self::Memfd,
        Self::ExecutableMemory,
    ];
}

/// The answer of a process. Everything in it is the word of whatever ran in there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The value or the error.
    pub outcome: Outcome,
    /// Files the code left.
    #[serde(default)]
    pub files: Vec<FileData>,
    /// Whether files were left out because of the limits.
    #[serde(default)]
    pub files_left_out: bool,
    /// Processor time of the process, in microseconds, as it says.
    #[serde(default)]
    pub cpu_us: u64,
}

/// How the code ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The value of the last expression, or null.
    Value(Value),
    /// It failed.
    Error {
        /// In which way.
        kind: ErrorKind,
        /// One line.
        message: String,
        /// The traceback, empty where there is none.
        #[serde(default)]
        traceback: String,
    },
}

/// In which way code failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// It is not valid Python, or not of the part that the backend speaks.
    Syntax,
    /// An exception that nobody caught.
    Exception,
    /// It ran longer than it may.
    TimeLimit,
    /// It wanted more memory than it may have.
    MemoryLimit,
    /// It printed, or its result or its files hold, more than is passed on.
    OutputLimit,
    /// Its process ended without an answer, or answered with something else.
    Crashed,
    /// The process would not take the request.
    Refused,
}

impl ErrorKind {
    /// The word on the wire and for models.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Exception => "exception",
            Self::TimeLimit => "time_limit",
            Self::MemoryLimit => "memory_limit",
            Self::OutputLimit => "output_limit",
            Self::Crashed => "crashed",
            Self::Refused => "refused",
        }
    }
}

/// Whether a file's name is a bare one.
///
/// It has 1 to [`MAX_NAME`] bytes, no separator, no control character, and is not `.` or `..`. So a name can lead nowhere, neither in the sandbox nor where its files are stored.
///
/// # Errors
/// What is wrong with it; the name itself is not repeated, because it may be hostile.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err("a file's name must have 1 to 128 bytes");
    }
    if name == "." || name == ".." {
        return Err("a file's name may not be `.` or `..`");
    }
    if name
        .chars()
        .any(|c| matches!(c, '/' | '\\') || !crate::text::is_plain(c))
    {
        return Err("a file's name may not hold a separator or an invisible character");
    }
    Ok(())
}
