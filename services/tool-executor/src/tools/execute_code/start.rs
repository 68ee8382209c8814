//! Finding and starting the sandbox. It fails closed: without a self-test that passed nothing runs.

use std::path::PathBuf;
use std::sync::Arc;

use nexus_sandbox::{Backend, Limits, PythonFull, Sandbox, Settings};
use parking_lot::RwLock;
use serde::Deserialize;

use crate::parts::Parts;
use crate::programs;

/// The program that runs the code.
const PROGRAM: &str = "nexus-sandbox";

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
    pub time: std::time::Duration,
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
        let settings = match parts.config.code.settings() {
            Ok(settings) => settings,
            Err(why) => {
                let state = RwLock::new(State::Stopped(why));
                return Arc::new(Self { state });
            }
        };
        let started = Arc::new(Self {
            state: RwLock::new(State::Starting),
        });
        let (late, relist) = (Arc::clone(&started), parts.relist.clone());
        let shutdown = parts.deps.shutdown.clone();
        parts.deps.tasks.spawn("tools.sandbox", async move {
            let starting = shutdown.run_until_cancelled(Sandbox::start(settings));
            let Some(sandbox) = starting.await else {
                return;
            };
            if !sandbox.health().ready {
                let failed = sandbox.health().report.failures();
                tracing::error!(%failed, "the sandbox does not hold, and runs nothing");
            }
            *late.state.write() = State::There(sandbox.clone());
            relist.send_replace(());
            shutdown.cancelled().await;
            sandbox.shutdown();
        });
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
