//! Background tasks of a node: tracked, so that shutdown waits for them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Health;

/// Where services put what runs beside them. Cheap to clone.
///
/// A task that panics is not started again: its name shows in `/readyz`, and `/healthz` fails.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    health: Health,
    shutdown: CancellationToken,
    abandon: CancellationToken,
    fatal: Arc<Mutex<Option<String>>>,
}

impl Tasks {
    /// No tasks yet. `shutdown` asks them to end.
    #[must_use]
    pub fn new(health: Health, shutdown: CancellationToken) -> Self {
        Self {
            tracker: TaskTracker::new(),
            health,
            shutdown,
            abandon: CancellationToken::new(),
            fatal: Arc::default(),
        }
    }

    /// Runs `future` beside everything else. It ends on its own when the shutdown token says so;
    /// shutdown waits for it.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let health = self.health.clone();
        self.tracker.spawn(async move {
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                tracing::error!(task = name, "a background task panicked and has ended");
                let why = "panicked and has ended; restart the process and report the log line";
                health.component(format!("task:{name}")).dead(why);
            }
        });
    }

    /// Ends the node with this error: what cannot be mended by trying again.
    pub fn fail(&self, reason: impl Into<String>) {
        self.fatal.lock().get_or_insert_with(|| reason.into());
        self.shutdown.cancel();
    }

    /// Why the node has to end, if a task said so.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.fatal.lock().clone()
    }

    /// Cancelled when the grace of shutdown is over: drop what is still in flight.
    #[must_use]
    pub const fn abandoned(&self) -> &CancellationToken {
        &self.abandon
    }

    /// Waits until every task has ended.
    pub(crate) async fn finished(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
