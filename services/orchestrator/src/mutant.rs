//! Ways to break the service on purpose: a test that cannot tell these from the real one proves
//! nothing.

use std::time::Duration;

use serde::Deserialize;

use crate::processor::{Handled, Intake};
use crate::translate::Translated;

/// A way to break it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutant {
    /// Acknowledges messages before it commits what they lead to.
    AckBeforeCommit,
}

/// How long what was acknowledged stays uncommitted: long enough for a test to kill the process.
const WINDOW: Duration = Duration::from_secs(2);

/// Says at once that events are handled, and handles them later.
pub(crate) fn acknowledge_first(intake: Intake, events: Vec<Translated>) -> Vec<Handled> {
    let handled = events.iter().map(|_| Ok(())).collect();
    let tasks = intake.tasks.clone();
    tasks.spawn("orchestrator.mutant", async move {
        tokio::time::sleep(WINDOW).await;
        for failure in intake
            .commit(events)
            .await
            .into_iter()
            .filter_map(Result::err)
        {
            tracing::warn!(?failure, "lost by the mutant");
        }
    });
    handled
}
