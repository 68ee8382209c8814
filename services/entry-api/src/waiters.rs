//! Who waits for news of which run, inside this process.

use std::collections::HashMap;
use std::sync::Arc;

use nexus_contracts::RunId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Everyone who waits.
#[derive(Debug, Default)]
pub struct Waiters {
    runs: Mutex<HashMap<RunId, watch::Sender<u64>>>,
}

/// One who waits; forgotten when dropped. News between registration and [`Waiting::news`] is kept.
#[derive(Debug)]
pub struct Waiting {
    run: RunId,
    news: watch::Receiver<u64>,
    all: Arc<Waiters>,
}

impl Waiters {
    /// Begins to wait.
    #[must_use]
    pub fn register(self: &Arc<Self>, run: RunId) -> Waiting {
        let mut runs = self.runs.lock();
        let news = runs
            .entry(run)
            .or_insert_with(|| watch::channel(0).0)
            .subscribe();
        Waiting {
            run,
            news,
            all: Arc::clone(self),
        }
    }

    /// There is news of these runs.
    pub fn wake(&self, about: impl IntoIterator<Item = RunId>) {
        let runs = self.runs.lock();
        if runs.is_empty() {
            return;
        }
        for run in about {
            if let Some(sender) = runs.get(&run) {
                sender.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }

    /// How many runs are waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.lock().len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Waiting {
    /// Returns once there is news. Cancel-safe.
    pub async fn news(&mut self) {
        if self.news.changed().await.is_err() {
            // The sender lives as long as this; without it there would be nothing to wait for.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut runs = self.all.runs.lock();
        if runs
            .get(&self.run)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            runs.remove(&self.run);
        }
    }
}
