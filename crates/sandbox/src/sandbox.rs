use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::RwLock;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    Backend, Done, Job, Launcher, Limits, Report, SandboxError,
    pool::Pool,
    protocol::{FileData, Hello, Order, Request},
    run,
};

/// How a sandbox is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The `nexus-sandbox` program, of the same build.
    pub worker: PathBuf,
    /// What runs the code.
    pub backend: Backend,
    /// Processes that wait for calls. Each holds some megabytes.
    pub warm: usize,
    /// Calls that run at once; more wait their turn.
    pub concurrency: usize,
    /// For jobs that bring none.
    pub defaults: Limits,
}

impl Settings {
    /// With two waiting processes, four calls at once and [`Limits::default`].
    #[must_use]
    pub fn new(worker: impl Into<PathBuf>, backend: Backend) -> Self {
        Self {
            worker: worker.into(),
            backend,
            warm: 2,
            concurrency: 4,
            defaults: Limits::default(),
        }
    }
}

/// Runs code of models where it can reach nothing. A cheap handle; see the crate's documentation.
#[derive(Debug, Clone)]
pub struct Sandbox {
    core: Option<Arc<Core>>,
    report: Arc<Report>,
}

/// How a sandbox fares.
#[derive(Debug, Clone)]
pub struct Health {
    /// Whether it runs code: the self-test passed and it is not shut down.
    pub ready: bool,
    /// Calls that run now.
    pub running: usize,
    /// Calls that may run at once.
    pub concurrency: usize,
    /// What the self-test found at start-up.
    pub report: Arc<Report>,
}

impl Sandbox {
    /// Starts the waiting processes and tests every guarantee. It always gives a sandbox: one whose
    /// self-test failed refuses every call and says why.
    pub async fn start(settings: Settings) -> Self {
        let backend = settings.backend.name();
        match Core::new(settings) {
            Ok(core) => {
                let report = crate::self_test::examine(&core).await;
                let core = report.passed().then(|| Arc::new(core));
                Self {
                    core,
                    report: Arc::new(report),
                }
            }
            Err(error) => Self {
                core: None,
                report: Arc::new(Report::broken(backend, &error)),
            },
        }
    }

    /// One that runs code although nothing was tested: for tests of what a missing guard lets through.
    ///
    /// # Errors
    /// [`SandboxError::Start`] when the program is not there.
    #[cfg(feature = "test-hooks")]
    pub fn start_untested(settings: Settings) -> Result<Self, SandboxError> {
        let report = Report {
            backend: settings.backend.name(),
            landlock: "unused".to_owned(),
            checks: Vec::new(),
        };
        Ok(Self {
            core: Some(Arc::new(Core::new(settings)?)),
            report: Arc::new(report),
        })
    }

    /// Lets a locked process try what is forbidden.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    #[cfg(feature = "test-hooks")]
    pub async fn probe(&self, what: crate::protocol::Probe) -> Result<Done, SandboxError> {
        let core = self.core.as_ref().ok_or_else(|| self.report.refusal())?;
        core.order(&Order::Probe { what }, &core.defaults)
            .await
            .map(|(done, _hello)| done)
    }

    /// Runs one job. What the code does wrong is in [`Done::result`]. Dropping the future ends its process.
    ///
    /// # Errors
    /// [`SandboxError::SelfTest`] always, when the self-test failed; [`SandboxError::Refused`] for a job
    /// beyond the limits; [`SandboxError::Closed`] after the shutdown; and what kept a process from starting.
    pub async fn run(&self, job: Job) -> Result<Done, SandboxError> {
        let Some(core) = &self.core else {
            return Err(self.report.refusal());
        };
        core.run(job).await
    }

    /// How it fares.
    #[must_use]
    pub fn health(&self) -> Health {
        let core = self.core.as_deref();
        Health {
            ready: core.is_some_and(|core| !core.slots.is_closed()),
            running: core.map_or(0, |core| core.running.load(Ordering::Relaxed)),
            concurrency: core.map_or(0, |core| core.concurrency),
            report: Arc::clone(&self.report),
        }
    }

    /// Takes no more calls and kills the waiting processes. Calls that run go on to their end: drop their
    /// futures to end them too. Dropping the last handle does the same.
    pub fn shutdown(&self) {
        if let Some(core) = &self.core {
            core.slots.close();
            drop(core.pool.write().take());
        }
    }
}

/// The sandbox behind the gate of the self-test.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) backend: Backend,
    pool: RwLock<Option<Arc<Pool>>>,
    slots: Semaphore,
    concurrency: usize,
    running: AtomicUsize,
    defaults: Limits,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Result<Self, SandboxError> {
        settings.defaults.check().map_err(SandboxError::Refused)?;
        let launcher = Launcher::new(&settings.worker)?;
        let pool = Pool::new(settings.backend.clone(), launcher, settings.warm);
        let concurrency = settings.concurrency.max(1);
        Ok(Self {
            backend: settings.backend,
            pool: RwLock::new(Some(Arc::new(pool))),
            slots: Semaphore::new(concurrency),
            concurrency,
            running: AtomicUsize::new(0),
            defaults: settings.defaults,
        })
    }

    async fn run(&self, job: Job) -> Result<Done, SandboxError> {
        let limits = job.limits.unwrap_or(self.defaults);
        job.check(&limits).map_err(SandboxError::Refused)?;
        if let Backend::PythonFull(python) = &self.backend
            && limits.file_bytes > python.folder
        {
            let text = format!("file_bytes is above the folder's {} bytes", python.folder);
            return Err(SandboxError::Refused(text));
        }
        let files = job
            .files
            .into_iter()
            .map(|f| FileData {
                name: f.name,
                data: f.data,
            })
            .collect();
        let order = Order::Run(Request {
            code: job.code,
            limits,
            files,
            now_ms: job.now_ms,
        });
        self.order(&order, &limits).await.map(|(done, _hello)| done)
    }

    /// Gives one order to a fresh process.
    pub(crate) async fn order(
        &self,
        order: &Order,
        limits: &Limits,
    ) -> Result<(Done, Hello), SandboxError> {
        let began = Instant::now();
        let _slot = self
            .slots
            .acquire()
            .await
            .map_err(|_closed| SandboxError::Closed)?;
        let pool = self.pool.read().clone().ok_or(SandboxError::Closed)?;
        let _running = Running::count(&self.running);
        let (worker, hello) = run::ready(&pool).await?;
        drop(pool);
        let waited = began.elapsed();
        let mut done = run::call(worker, order, limits).await;
        done.times.waited = waited;
        Ok((done, hello))
    }
}

/// Counts a call while it lives, also when its future is dropped.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn count(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
