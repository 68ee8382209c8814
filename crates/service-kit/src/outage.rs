//! Something that is away: said once, waited for with growing pauses, and shown in `/readyz`.

use std::fmt::Display;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::{Clock, HealthHandle};

/// One thing that can be away, such as the bus for one reader.
pub(crate) struct Outage {
    what: String,
    backoff: Backoff,
    health: Option<HealthHandle>,
    known_to_work: bool,
}

impl Outage {
    /// Nothing is away yet. `what` completes "… failed; trying again".
    pub(crate) fn new(clock: &Clock, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            backoff: Backoff::of_loop(clock),
            health: None,
            known_to_work: false,
        }
    }

    /// The same, showing in this component.
    pub(crate) fn shown_in(self, health: HealthHandle) -> Self {
        Self {
            health: Some(health),
            ..self
        }
    }

    /// It failed. Returns how long to wait.
    pub(crate) fn failed(&mut self, error: &impl Display) -> Duration {
        self.known_to_work = false;
        if !self.backoff.is_failing() {
            tracing::warn!(%error, "{} failed; trying again", self.what);
        }
        if let Some(health) = &self.health {
            health.failing(error.to_string());
        }
        self.backoff.next_delay()
    }

    /// It worked. Costs nothing when it worked before.
    pub(crate) fn worked(&mut self) {
        if std::mem::replace(&mut self.known_to_work, true) {
            return;
        }
        if self.backoff.is_failing() {
            tracing::info!("{} works again", self.what);
        }
        self.backoff.reset();
        if let Some(health) = &self.health {
            health.ok();
        }
    }
}
