use std::path::PathBuf;

/// Why a call was not run, or its process could not be. What the code itself did wrong is not here: it is
/// a [`Failure`](crate::Failure) in [`Done`](crate::Done).
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The self-test at start-up did not prove every guarantee, so nothing runs.
    #[error(
        "the code sandbox ({backend}) runs nothing, because its self-test failed: {failed}. \
         Mend what is named and start again; `nexus doctor` repeats the test"
    )]
    SelfTest {
        /// Which backend.
        backend: &'static str,
        /// Each failed check, with what was seen and what to do.
        failed: String,
    },
    /// The job itself is not acceptable; nothing was started.
    #[error("the job was refused before it ran: {0}")]
    Refused(String),
    /// The program that confines could not be started.
    #[error(
        "cannot start {program}: {source}. Check that the file exists, may be executed and is of this build"
    )]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A fresh process did not report that it is locked down.
    #[error("a sandbox process did not become ready: {0}. See its self-test with `nexus doctor`")]
    NotReady(String),
    /// Another program cannot be confined on this machine.
    #[error(
        "programs cannot be confined here: {0}. It needs bubblewrap 0.7 or later, user namespaces that this \
         user may make, a kernel with seccomp filters, and a `nexus-sandbox` of this build"
    )]
    Unconfined(String),
    /// The sandbox was shut down.
    #[error("the code sandbox is shut down; the call was not run")]
    Closed,
}
