//! Finding and starting the sandbox. It fails closed: without a self-test that passed nothing runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nexus_sandbox::{Backend, Limits, PythonFull, Sandbox, Settings};
use nexus_service_kit::backoff::Backoff;
use parking_lot::RwLock;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::parts::Parts;
use crate::programs;

/// The program that runs the code.
const PROGRAM: &str = "nexus-sandbox";

/// How long after a failed self-test the next one is.
const TEST_AGAIN: Duration = Duration::from_mins(1);

/// How code is run: `code` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// In what it runs.
    pub backend: CodeBackend,
    /// The program `nexus-sandbox`; looked for when empty.
    pub program: PathBuf,
    /// Processes that wait for calls.
    pub warm: usize,
    /// Calls that run at once.
    pub concurrency: usize,
    /// Longest time of a call.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub time: Duration,
    /// Most memory of a call, in bytes.
    pub memory: u64,
    /// Most bytes of all files of a call, and as many that it leaves.
    pub file_bytes: u64,
}

/// In what code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeBackend {
    /// Pydantic's Python interpreter in a process that can only read, write and compute.
    Monty,
    /// `CPython` in bubblewrap.
    PythonFull,
    /// Not at all.
    Off,
}

impl Code {
    /// What one call may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            time_ms: u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX),
            memory: self.memory,
            file_bytes: self.file_bytes,
            ..Limits::default()
        }
    }

    /// How the sandbox is set up.
    ///
    /// # Errors
    /// In words, when it is switched off, or the program is not there.
    pub fn settings(&self) -> Result<Settings, String> {
        let backend = match self.backend {
            CodeBackend::Monty => Backend::Monty,
            CodeBackend::PythonFull => Backend::PythonFull(PythonFull::default()),
            CodeBackend::Off => {
                return Err("it is switched off (`tool-executor.code.backend: off`)".to_owned());
            }
        };
        let program = programs::find(PROGRAM, &self.program, "tool-executor.code.program")?;
        Ok(Settings {
            warm: self.warm,
            concurrency: self.concurrency,
            defaults: self.limits(),
            ..Settings::new(program, backend)
        })
    }
}

/// A sandbox that is being started.
pub(super) struct Started {
    state: RwLock<State>,
}

enum State {
    Starting,
    Stopped(String),
    There(Sandbox),
}

impl Started {
    /// Starts it on the tasks of the service.
    pub(super) fn begin(parts: &Parts) -> Arc<Self> {
        let started = Arc::new(Self {
            state: RwLock::new(State::Starting),
        });
        let keeper = Keeper {
            started: Arc::clone(&started),
            config: Arc::clone(&parts.config),
            relist: parts.relist.clone(),
            shutdown: parts.deps.shutdown.clone(),
        };
        let pauses = Backoff::of_loop(&parts.deps.clock);
        parts.deps.tasks.spawn("tools.sandbox", keeper.run(pauses));
        started
    }

    /// Why nothing runs.
    pub(super) fn stopped(&self) -> Option<String> {
        match &*self.state.read() {
            State::Starting => Some("its self-test is running; try again in a moment".to_owned()),
            State::Stopped(why) => Some(why.clone()),
            State::There(sandbox) if sandbox.health().ready => None,
            State::There(sandbox) => Some(format!(
                "the sandbox does not hold: {}",
                sandbox.health().report.failures()
            )),
        }
    }

    /// The sandbox.
    pub(super) fn ready(&self) -> Result<Sandbox, String> {
        match &*self.state.read() {
            State::There(sandbox) => Ok(sandbox.clone()),
            State::Starting => Err("the sandbox is still being tested; try again".to_owned()),
            State::Stopped(why) => Err(why.clone()),
        }
    }
}

/// Starts the sandbox, again and again while it does not hold: a machine that had no memory for its
/// self-test, or an operator who installs what is missing, needs no restart of this service.
struct Keeper {
    started: Arc<Started>,
    config: Arc<Config>,
    relist: watch::Sender<()>,
    shutdown: CancellationToken,
}

impl Keeper {
    async fn run(self, mut pauses: Backoff) {
        let mut said = None;
        loop {
            let Some(sandbox) = self.shutdown.run_until_cancelled(self.start()).await else {
                return;
            };
            if self.config.code.backend == CodeBackend::Off {
                return;
            }
            let why = self.started.stopped();
            if why.is_none() {
                self.shutdown.cancelled().await;
            } else if why != said {
                let why = why.as_deref().unwrap_or_default();
                tracing::error!(%why, "code cannot be run; trying again every minute");
            }
            said = why;
            let pause = tokio::time::sleep(pauses.jittered(TEST_AGAIN));
            let stopped = self.shutdown.run_until_cancelled(pause).await.is_none();
            if let Some(sandbox) = sandbox {
                sandbox.shutdown();
            }
            if stopped {
                return;
            }
        }
    }

    /// One try; its sandbox, whether it holds or not.
    async fn start(&self) -> Option<Sandbox> {
        let (state, sandbox) = match self.config.code.settings() {
            Ok(settings) => {
                let sandbox = Sandbox::start(settings).await;
                (State::There(sandbox.clone()), Some(sandbox))
            }
            Err(why) => (State::Stopped(why), None),
        };
        *self.started.state.write() = state;
        self.relist.send_replace(());
        sandbox
    }
}
