//! Signals to a child's process group.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// The signals tests send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ends at once, without any chance to clean up.
    Kill,
    /// Asks to end.
    Terminate,
    /// As Ctrl-C does.
    Interrupt,
    /// Asks to end at once (`PostgreSQL`: immediate shutdown).
    Quit,
    /// Freezes.
    Stop,
    /// Thaws.
    Continue,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }

    /// Sends this signal to the process group led by `group`. The shell's own `kill` does it:
    /// the system call would need unsafe code, and not every machine has the program.
    pub(super) fn send(self, group: u32) -> Result<()> {
        let script = format!("kill -s {} -- -{group} 2>&1", self.name());
        let output = Command::new("sh")
            .arg("-c")
            .arg(script)
            .output()
            .context("run sh")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout);
            bail!(
                "send SIG{} to process group {group}: {}",
                self.name(),
                said.trim()
            );
        }
        Ok(())
    }
}
