use std::time::Duration;

use serde_json::Value;

pub use crate::protocol::ErrorKind;
use crate::{
    Limits,
    protocol::{FileData, check_name},
};

/// One call.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// Python. The value of its last expression is the result, what it prints is the output.
    pub code: String,
    /// Files it finds in its folder, and may read by their bare names.
    pub files: Vec<File>,
    /// What it may use; the sandbox's defaults where `None`.
    pub limits: Option<Limits>,
    /// The time `datetime.now()` gives in `monty`, in milliseconds since 1970. Without it asking is an error.
    pub now_ms: Option<i64>,
}

impl Job {
    /// A job of code alone.
    #[must_use]
    pub fn new(code: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            ..Self::default()
        }
    }

    /// With these limits.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// With one more file.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.files.push(File {
            name: name.into(),
            data: data.into(),
        });
        self
    }

    /// What is wrong with it under these limits.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), String> {
        limits.check()?;
        if self.code.len() > MAX_CODE {
            return Err(format!(
                "the code has {} bytes; at most {MAX_CODE} are run",
                self.code.len()
            ));
        }
        if self.files.len() > limits.files as usize {
            return Err(format!(
                "{} files where {} are allowed",
                self.files.len(),
                limits.files
            ));
        }
        let mut names = std::collections::HashSet::new();
        for file in &self.files {
            check_name(&file.name)?;
            if !names.insert(file.name.as_str()) {
                return Err("two files of the same name".to_owned());
            }
        }
        let bytes: u64 = self.files.iter().map(|f| f.data.len() as u64).sum();
        if bytes > limits.file_bytes {
            return Err(format!(
                "files of {bytes} bytes where {} are allowed",
                limits.file_bytes
            ));
        }
        Ok(())
    }
}

/// Bytes of code that are taken.
pub(crate) const MAX_CODE: usize = 1 << 20;

/// A file by its bare name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// See [`check_name`].
    pub name: String,
    /// Content.
    pub data: Vec<u8>,
}

impl From<FileData> for File {
    fn from(FileData { name, data }: FileData) -> Self {
        Self { name, data }
    }
}

/// How a call ended. All text in it is [harmless](crate::text::harmless) to show; none of it is to be believed.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The value of the last expression as JSON, or how the code failed. What JSON cannot say is an object
    /// with `$type`: see the crate's documentation.
    pub result: Result<Value, Failure>,
    /// What it printed, kept also when it failed.
    pub stdout: Stream,
    /// What it wrote to standard error.
    pub stderr: Stream,
    /// Files it made or changed.
    pub files: Vec<File>,
    /// Whether more files were there than the limits let through.
    pub files_left_out: bool,
    /// How long it took.
    pub times: Times,
}

impl Done {
    /// The kind of failure, if it failed.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        self.result.as_ref().err().map(|failure| failure.kind)
    }
}

/// How code failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In which way.
    pub kind: ErrorKind,
    /// One line for whoever wrote the code.
    pub message: String,
    /// The traceback, or empty.
    pub traceback: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            traceback: String::new(),
        }
    }
}

/// A stream of output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// What there was, up to the limit.
    pub text: String,
    /// Whether there was more.
    pub truncated: bool,
}

/// How long a call took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Until a process was free and ready.
    pub waited: Duration,
    /// From sending the request to the end, by the executor's clock.
    pub ran: Duration,
    /// Processor time, as the process says.
    pub cpu: Duration,
}
