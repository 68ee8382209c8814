//! Ways to break the service on purpose (feature `mutants`): a test that cannot tell these from the
//! real one proves nothing.

use serde::Deserialize;

/// A way to break it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutant {
    /// Acknowledges messages before it commits what they lead to.
    AckBeforeCommit,
    /// Does not know which requests it handled before.
    NoInbox,
    /// Writes conversations whatever another replica wrote meanwhile.
    NoCompareAndSet,
    /// Never publishes again what nobody answered, and wakes nobody.
    NoSweeper,
    /// Sets every timer anew when it starts.
    TimersReset,
}

#[cfg(feature = "mutants")]
mod late {
    use std::time::Duration;

    use crate::intake::{Handled, Intake};
    use crate::translate::Translated;

    /// How long what was acknowledged stays uncommitted: long enough for a test to kill the process.
    const WINDOW: Duration = Duration::from_secs(2);

    /// Says at once that events are handled, and handles them later.
    pub(crate) fn acknowledge_first(intake: Intake, events: Vec<Translated>) -> Vec<Handled> {
        let handled = events.iter().map(|_| Ok(())).collect();
        let tasks = intake.tasks.clone();
        tasks.spawn("orchestrator.mutant", async move {
            tokio::time::sleep(WINDOW).await;
            let failed = intake.commit(events).await;
            for failure in failed.into_iter().filter_map(Result::err) {
                tracing::warn!(?failure, "lost by the mutant");
            }
        });
        handled
    }
}

#[cfg(feature = "mutants")]
pub(crate) use late::acknowledge_first;
