//! One worker process: started, killed, frozen, and started again when it ends by itself.

use std::time::Duration;

use anyhow::{Context, Result};
use nexus_testkit::proxy::Proxy;
use nexus_testkit::{Signal, Spawn, Spawned};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a worker that ended by itself is left alone, as Kubernetes would.
const BACKOFF: Duration = Duration::from_millis(500);

/// Most lines kept of what ended processes wrote.
const KEPT_LINES: usize = 400;

/// A worker: the same program under the same name, process after process.
pub struct Worker {
    /// Its name, such as `orchestrator-2`.
    pub name: String,
    /// The service it runs; `up` for all of them.
    pub service: &'static str,
    /// Where its metrics are.
    pub admin: u16,
    /// Between it and the bus.
    pub to_bus: Option<Proxy>,
    /// Between it and the database.
    pub to_store: Option<Proxy>,
    command: Spawn,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    process: Option<Spawned>,
    words: Vec<String>,
    wanted: bool,
    paused: bool,
    started: u64,
    ended_by_itself: u64,
    ended_at: Option<Instant>,
    panics: Vec<String>,
    lines: Vec<String>,
}

/// What can be told of a worker's processes.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    /// How many there were.
    pub started: u64,
    /// How many ended although nobody had killed them.
    pub ended_by_itself: u64,
    /// What panics said.
    pub panics: Vec<String>,
}

impl Worker {
    /// Not started yet.
    #[must_use]
    pub fn new(
        name: String,
        service: &'static str,
        command: Spawn,
        admin: u16,
        (to_bus, to_store): (Option<Proxy>, Option<Proxy>),
    ) -> Self {
        Self {
            name,
            service,
            admin,
            to_bus,
            to_store,
            command,
            state: Mutex::default(),
        }
    }

    /// What its next process is told to be.
    pub async fn becomes(&self, words: Vec<String>) {
        self.state.lock().await.words = words;
    }

    /// Starts it, unless it runs.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub async fn start(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        state.wanted = true;
        if state.process.is_none() {
            self.spawn(&mut state)?;
        }
        Ok(())
    }

    fn spawn(&self, state: &mut State) -> Result<()> {
        let process = self.command.clone().args(&state.words).start();
        state.process = Some(process.with_context(|| self.name.clone())?);
        state.started += 1;
        state.paused = false;
        Ok(())
    }

    /// SIGKILL; it stays away until it is started. Nothing happens to one that does not run.
    ///
    /// # Errors
    /// When the process cannot be ended.
    pub async fn kill(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        state.wanted = false;
        let Some(mut process) = state.process.take() else {
            return Ok(());
        };
        if process.try_status()?.is_none() {
            process.kill().await?;
        }
        state.keep(&process);
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn terminate(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        state.wanted = false;
        let Some(mut process) = state.process.take() else {
            return Ok(());
        };
        if process.try_status()?.is_none() {
            process.terminate(Duration::from_secs(30)).await?;
        }
        state.keep(&process);
        Ok(())
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn pause(&self) -> Result<()> {
        self.signal(Signal::Stop).await
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn resume(&self) -> Result<()> {
        self.signal(Signal::Continue).await
    }

    async fn signal(&self, signal: Signal) -> Result<()> {
        let paused = signal == Signal::Stop;
        let mut state = self.state.lock().await;
        if state.paused == paused {
            return Ok(());
        }
        if let Some(process) = &mut state.process
            && process.try_status()?.is_none()
        {
            process.signal(signal)?;
            state.paused = paused;
        }
        Ok(())
    }

    /// Starts it again if it ended by itself.
    ///
    /// # Errors
    /// When it cannot be asked or started.
    pub async fn supervise(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        if !state.wanted {
            return Ok(());
        }
        if let Some(process) = &mut state.process {
            if process.try_status()?.is_none() {
                return Ok(());
            }
            if let Some(process) = state.process.take() {
                state.keep(&process);
            }
            state.ended_by_itself += 1;
            state.ended_at = Some(Instant::now());
        }
        if state.ended_at.is_none_or(|at| at.elapsed() >= BACKOFF) {
            self.spawn(&mut state)?;
        }
        Ok(())
    }

    /// How many processes this worker has had: another number, another set of counters.
    pub async fn lives(&self) -> Lives {
        let mut state = self.state.lock().await;
        if let Some(process) = state.process.take() {
            let panics = panics(&process);
            state.process = Some(process);
            let mut lives = state.lives();
            lives.panics.extend(panics);
            return lives;
        }
        state.lives()
    }

    /// What its processes wrote last.
    pub async fn output(&self) -> String {
        let state = self.state.lock().await;
        let running = state.process.as_ref().map(Spawned::output);
        format!(
            "== {}\n{}\n{}\n",
            self.name,
            state.lines.join("\n"),
            running.unwrap_or_default()
        )
    }
}

fn panics(process: &Spawned) -> Vec<String> {
    let lines = process.stderr().into_iter();
    lines.filter(|line| line.contains("panicked at")).collect()
}

impl State {
    fn keep(&mut self, process: &Spawned) {
        self.panics.extend(panics(process));
        self.lines
            .extend(process.output().lines().map(str::to_owned));
        let excess = self.lines.len().saturating_sub(KEPT_LINES);
        self.lines.drain(..excess);
    }

    fn lives(&self) -> Lives {
        Lives {
            started: self.started,
            ended_by_itself: self.ended_by_itself,
            panics: self.panics.clone(),
        }
    }
}
