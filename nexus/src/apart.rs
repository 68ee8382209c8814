//! Services that are programs of their own: `nexus run` becomes the program.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::exit::{Exit, Failure};
use crate::settings::Settings;

/// A service that this binary does not contain.
#[derive(Clone, Copy, Debug)]
pub struct Apart {
    /// Its name: of its section, its consumer group, and for `nexus run`.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Its program.
    program: &'static str,
    /// How one comes by it.
    build: &'static str,
}

/// All there are.
pub const APART: &[Apart] = &[Apart {
    name: "inference-worker",
    about: "runs models here, on a GPU or a CPU (a program of its own)",
    program: "nexus-inference-worker",
    build: "cargo build --release --manifest-path services/inference-worker/Cargo.toml",
}];

/// The one among these names, if it is alone.
///
/// # Errors
/// When it is named beside others.
pub fn chosen(names: &[String]) -> Result<Option<Apart>, Failure> {
    let found = APART
        .iter()
        .find(|apart| names.iter().any(|name| name == apart.name));
    match found {
        Some(apart) if names.len() > 1 => {
            let what = format!("`{}` is a program of its own", apart.name);
            let todo = format!("Start it alone: nexus run {}", apart.name);
            Err(Failure::new(Exit::Usage, what).todo(todo))
        }
        found => Ok(found.copied()),
    }
}

impl Apart {
    /// Becomes the program, with the same configuration. Returns only what kept it from doing so.
    #[must_use]
    pub fn become_it(self, settings: &Settings) -> Failure {
        let mut command = Command::new(self.find());
        if let Some(file) = &settings.file {
            command.arg("--config").arg(file);
        }
        for (key, value) in &settings.overrides {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let error = command.exec();
        let program = self.program;
        if error.kind() == std::io::ErrorKind::NotFound {
            let what = format!("`{program}` is neither beside this program nor in PATH");
            return Failure::new(Exit::Usage, what).todo(format!("Build it: {}", self.build));
        }
        Failure::new(
            Exit::Failed,
            format!("`{program}` cannot be started: {error}"),
        )
    }

    /// Beside this program, or wherever the shell would find it.
    fn find(self) -> PathBuf {
        let beside = std::env::current_exe().map(|own| own.with_file_name(self.program));
        let beside = beside.ok().filter(|path| path.is_file());
        beside.unwrap_or_else(|| self.program.into())
    }
}
