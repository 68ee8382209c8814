//! Whether this machine can confine programs, before one is trusted to be.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{io::AsyncReadExt as _, time::timeout};

use super::{Confined, INNER, Streams};
use crate::{Launcher, SandboxError};

/// For starting bubblewrap and looking around, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is read of the reason, in bytes.
const LONGEST: u64 = 2000;

impl Launcher {
    /// Confines a program of ours, which tries what must be impossible: that bubblewrap and the system call
    /// filter are there and the limits hold is seen, and what is wrong is in nobody's words but ours.
    ///
    /// # Errors
    /// [`SandboxError::Unconfined`] with what is wrong; [`SandboxError::Start`] when the confining program
    /// cannot be started.
    pub async fn verify(&self, bubblewrap: &Path) -> Result<(), SandboxError> {
        let what = Confined::new(INNER)
            .bubblewrap(bubblewrap)
            .args(["verify"])
            .keep_user()
            .system_files()
            // As servers have it: an older bubblewrap, or a container that refuses this, is seen here.
            .processes()
            .memory("/tmp", 1 << 20);
        let streams = Streams {
            stdin: Stdio::null(),
            stdout: Stdio::null(),
            stderr: Stdio::piped(),
        };
        let mut process = self.confine(&what, streams).await?;
        let mut said = Vec::new();
        let looked = async {
            if let Some(stderr) = process.take_stderr() {
                // What cannot be read is no reason; how it ended decides.
                let _ = stderr.take(LONGEST).read_to_end(&mut said).await;
            }
            process.wait().await
        };
        match timeout(PATIENCE, looked).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) if said.is_empty() => {
                Err(SandboxError::Unconfined(format!("no word but {status}")))
            }
            Ok(Ok(_)) => {
                let said = crate::text::harmless(&said);
                Err(SandboxError::Unconfined(said.trim().replace('\n', "; ")))
            }
            Ok(Err(error)) => Err(SandboxError::Unconfined(error.to_string())),
            Err(_) => Err(SandboxError::Unconfined(format!(
                "looking at a confined process took more than {PATIENCE:?}"
            ))),
        }
    }
}
