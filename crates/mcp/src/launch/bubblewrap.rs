//! Confinement with bubblewrap (`bwrap`, 0.7 or later) and the program `nexus-sandbox`.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use nexus_sandbox::bubblewrap::{Ceiling, Confined, Streams};
use nexus_sandbox::{Launcher as Confiner, SandboxError};
use tokio::sync::OnceCell;

use super::{Launch, LaunchError, Launched, Launcher, PATH, Process, start};
use crate::config::{Confinement, Sandbox};

/// Where the system's packages put it.
const PLACES: [&str; 2] = ["/usr/bin/bwrap", "/usr/local/bin/bwrap"];

/// Starts programs in a sandbox, except those whose configuration says `sandbox: off`.
///
/// Inside: a user namespace without capabilities, no system call that could make another, trace,
/// mount, or reach for what ordinary programs leave alone, its own process numbers, no network
/// unless allowed, the system's programs read only, a `/tmp` of bounded size, and limits. The
/// sandbox itself is started with the server's variables and no other, because what it was started
/// with can be read inside as `/proc/1/environ`.
///
/// Before the first program is started, one of ours tries from inside what must be impossible: a
/// machine where it is possible starts no program in a sandbox.
#[derive(Debug, Clone)]
pub struct Bubblewrap {
    program: PathBuf,
    confiner: Result<PathBuf, String>,
    /// Seen to confine.
    seen: OnceCell<Confiner>,
}

impl Bubblewrap {
    /// With the `bwrap` of the system's packages, wherever they put it, and this `nexus-sandbox`, or
    /// the reason why there is none.
    #[must_use]
    pub fn of_system(confiner: Result<PathBuf, String>) -> Self {
        let found = PLACES.iter().map(PathBuf::from).find(|path| path.is_file());
        let found = found.unwrap_or_else(|| PathBuf::from(PLACES[0]));
        Self::at(found, confiner)
    }

    /// With this `bwrap`.
    #[must_use]
    pub fn at(program: impl Into<PathBuf>, confiner: Result<PathBuf, String>) -> Self {
        Self {
            program: program.into(),
            confiner,
            seen: OnceCell::new(),
        }
    }

    /// What confines, once it was seen to.
    async fn confiner(&self) -> Result<&Confiner, LaunchError> {
        let program = self.confiner.as_ref();
        let program = program.map_err(|why| LaunchError::Unconfined(why.clone()))?;
        let unconfined = |error: SandboxError| LaunchError::Unconfined(error.to_string());
        let look = || async {
            let confiner = Confiner::new(program)?;
            confiner.verify(&self.program).await?;
            Ok(confiner)
        };
        self.seen.get_or_try_init(look).await.map_err(unconfined)
    }
}

#[async_trait]
impl Launcher for Bubblewrap {
    async fn launch(&self, launch: &Launch<'_>) -> Result<Launched, LaunchError> {
        let Confinement::On(sandbox) = launch.sandbox else {
            return start(launch.command, launch.env);
        };
        if !self.program.is_file() {
            return Err(LaunchError::NoSandbox(self.program.display().to_string()));
        }
        let lists = sandbox.read.iter().chain(&sandbox.write);
        if let Some(missing) = lists.into_iter().find(|path| !path.exists()) {
            return Err(LaunchError::NoPath(missing.display().to_string()));
        }
        let what = confined(launch, sandbox, &self.program);
        let confiner = self.confiner().await?;
        let started = confiner.confine(&what, Streams::piped()).await;
        let mut process = started.map_err(|error| LaunchError::Unconfined(error.to_string()))?;
        let pipes = (
            process.take_stdin(),
            process.take_stdout(),
            process.take_stderr(),
        );
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(LaunchError::Start {
                program: launch.command.first().cloned().unwrap_or_default(),
                reason: std::io::ErrorKind::BrokenPipe.into(),
            });
        };
        Ok(Launched {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            process: Box::new(Held(process)),
        })
    }
}

fn confined(launch: &Launch<'_>, sandbox: &Sandbox, bubblewrap: &Path) -> Confined {
    let program = launch.command.first().cloned().unwrap_or_default();
    // Started as root it stays root, without a right beyond its files: they are usually root's then.
    let mut what = Confined::new(program)
        .bubblewrap(bubblewrap)
        .args(launch.command.iter().skip(1))
        .keep_user()
        .ceiling(Ceiling {
            tasks: sandbox.tasks,
            memory: sandbox.memory_bytes,
            descriptors: sandbox.open_files,
            file: sandbox.file_bytes,
        })
        .system_files();
    if sandbox.network {
        what = what.with_network();
    }
    what = what.processes().memory("/tmp", sandbox.tmp_bytes);
    for path in &sandbox.read {
        what = what.read_only(path);
    }
    for path in &sandbox.write {
        what = what.writable(path, path);
    }
    let base = [
        ("PATH", PATH),
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
        ("LANG", "C.UTF-8"),
    ];
    for (name, value) in base {
        if !launch.env.contains_key(name) {
            what = what.variable(name, value);
        }
    }
    for (name, value) in launch.env {
        what = what.variable(name, value);
    }
    let home = sandbox.write.iter().find(|path| path.is_dir());
    what.folder(home.map_or_else(|| Path::new("/tmp"), PathBuf::as_path))
}

/// A confined program. Dropping it kills all of it.
struct Held(nexus_sandbox::Process);

#[async_trait]
impl Process for Held {
    async fn ended(&mut self) {
        // An error means that there is no child to wait for.
        let _ = self.0.wait().await;
    }

    fn kill(&mut self) {
        self.0.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    async fn refused(launcher: &Bubblewrap) -> LaunchError {
        let launch = Launch {
            command: &["true".to_owned()],
            env: &BTreeMap::new(),
            sandbox: &Confinement::default(),
        };
        match launcher.launch(&launch).await {
            Ok(_) => panic!("started"),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn without_a_sandbox_nothing_starts() {
        let error = refused(&Bubblewrap::at("/nowhere/bwrap", Ok("/bin/true".into()))).await;
        assert!(matches!(error, LaunchError::NoSandbox(_)), "{error}");
    }

    #[tokio::test]
    async fn without_a_program_that_confines_nothing_starts() {
        for (confiner, words) in [
            (
                Err("it was not installed".to_owned()),
                "it was not installed",
            ),
            (
                Ok("/nowhere/nexus-sandbox".into()),
                "/nowhere/nexus-sandbox",
            ),
            (Ok("/bin/false".into()), "cannot be confined here"),
        ] {
            let launcher = Bubblewrap::of_system(confiner);
            for _ in 0..2 {
                let said = refused(&launcher).await.to_string();
                assert!(
                    said.contains(words) && said.contains("`sandbox: off`"),
                    "{said}"
                );
            }
        }
    }
}
