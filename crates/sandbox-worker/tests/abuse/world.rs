//! A sandbox, everything that runs in it, and what must be true of both after every case.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nexus_sandbox::{Backend, Job, Limits, PythonFull, Sandbox, Settings};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Waiting processes of each sandbox here.
const WARM: usize = 2;

pub const LIMITS: Limits = Limits {
    time_ms: 20_000,
    memory: 32 << 20,
    output: 16 << 10,
    value: 16 << 10,
    files: 8,
    file_bytes: 1 << 20,
    recursion: 500,
    host_calls: 2_000,
};

/// For code that never ends: the limit is what is waited for.
pub const SHORT: Limits = Limits {
    time_ms: 400,
    ..LIMITS
};

pub struct World {
    pub sandbox: Sandbox,
    pub python: bool,
    // The worker under a path that every user can reach.
    _folder: TempDir,
}

/// The production worker, as cargo built it.
pub fn worker() -> PathBuf {
    env!("CARGO_BIN_EXE_nexus-sandbox").into()
}

/// A worker without a guard.
pub fn sabotaged(what: &str) -> PathBuf {
    let path = worker()
        .with_file_name("examples")
        .join(format!("sabotaged_{what}"));
    assert!(
        path.exists(),
        "{} is missing: cargo builds examples with the tests of a package",
        path.display()
    );
    path
}

/// A program where the users that sandboxes run as can reach it, whatever guards the build folder.
pub fn reachable(program: &Path) -> (TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let at = folder.path().join("nexus-sandbox");
    if fs::hard_link(program, &at).is_err() {
        fs::copy(program, &at).unwrap();
    }
    (folder, at)
}

pub fn backend(python: bool) -> Backend {
    if python {
        Backend::PythonFull(PythonFull::default())
    } else {
        Backend::Monty
    }
}

impl World {
    /// The sandbox as it is used, self-test and all.
    pub async fn proven(python: bool) -> Self {
        let (folder, settings) = settings(python, &worker());
        let sandbox = Sandbox::start(settings).await;
        let health = sandbox.health();
        assert!(health.ready, "{}", health.report.failures());
        Self {
            sandbox,
            python,
            _folder: folder,
        }
    }

    /// One without a guard, and without the self-test that would notice.
    pub fn without(guard: &str, python: bool) -> Self {
        let (folder, settings) = settings(python, &sabotaged(guard));
        let sandbox = Sandbox::start_untested(settings).unwrap();
        Self {
            sandbox,
            python,
            _folder: folder,
        }
    }

    /// A harmless call, at the same time as an attack or after it.
    pub async fn sibling(&self) -> Result<(), String> {
        let job = Job::new("sum(range(1000))").limits(LIMITS);
        let done = self
            .sandbox
            .run(job)
            .await
            .map_err(|e| format!("a sibling was not run: {e}"))?;
        match done.result {
            Ok(value) if value == json!(499_500) => Ok(()),
            other => Err(format!("a sibling got {other:?}")),
        }
    }

    /// Waits until only the waiting processes are left of all that this test started.
    pub async fn settled(&self) -> Result<Vec<u32>, String> {
        // CPython waits as bubblewrap, the first process of its namespace, and itself.
        let expected = if self.python { 3 * WARM } else { WARM };
        only(expected).await
    }

    /// Waits until this is true of all waiting processes: one that has just been started is not locked down
    /// yet, and runs nobody's code before it is.
    pub async fn comes_to(&self, look: fn(u32) -> Result<(), String>) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let looked = self.settled().await?.into_iter().try_for_each(look);
            if looked.is_ok() || Instant::now() > until {
                return looked;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn gone(self) -> Result<(), String> {
        self.sandbox.shutdown();
        drop(self.sandbox);
        only(0).await.map(drop)
    }
}

pub fn settings(python: bool, worker: &Path) -> (TempDir, Settings) {
    let (folder, worker) = reachable(worker);
    let mut settings = Settings::new(worker, backend(python));
    settings.warm = WARM;
    settings.defaults = LIMITS;
    (folder, settings)
}

/// Waits until exactly this many descendants run.
pub async fn only(expected: usize) -> Result<Vec<u32>, String> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let running = descendants();
        if running.len() == expected {
            return Ok(running.into_keys().collect());
        }
        if Instant::now() > until {
            return Err(format!(
                "{expected} processes should be left, but these are: {running:?}"
            ));
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// All living processes below this one, by number, with their names. Orphans count: see `adopt_orphans`.
pub fn descendants() -> HashMap<u32, String> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name stands in parentheses and may hold anything; what follows does not.
        let Some((name, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let mut fields = rest.split_whitespace();
        let (state, parent) = (
            fields.next().unwrap(),
            fields.next().unwrap().parse::<u32>().unwrap(),
        );
        if !matches!(state, "Z" | "X") {
            all.insert(id, (parent, name.to_owned()));
        }
    }
    let own = std::process::id();
    let mut below = HashMap::new();
    for (&id, (_, name)) in &all {
        let mut at = id;
        while let Some((parent, _)) = all.get(&at) {
            if *parent == own {
                below.insert(id, name.clone());
            }
            at = *parent;
        }
    }
    below
}

/// Makes this process the one to which orphans fall, so that a daemon cannot leave its descendants.
pub fn adopt_orphans() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
}
