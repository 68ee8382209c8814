//! Answers in, receipts out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_service_kit::{BatchHandler, Clock, Failure, Message, Outcome};

use crate::answer::{self, Heard};
use crate::ingress::Ingress;
use crate::messages::Messages;
use crate::metrics::Metrics;
use crate::receipts::receipts;
use crate::waiters::Waiters;

/// How long answers wait while the store cannot be written.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Records what the orchestrator said.
pub struct Answers {
    /// Where it is kept.
    pub messages: Messages,
    /// Whose publications end.
    pub ingress: Ingress,
    /// Who waits for it.
    pub waiters: Arc<Waiters>,
    /// Dates what is stored.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

#[async_trait]
impl BatchHandler for Answers {
    async fn handle(&self, batch: Vec<Message>) -> Vec<Outcome> {
        let read: Vec<Result<Heard, Failure>> = batch
            .iter()
            .map(|message| {
                answer::read(&message.envelope).map_err(|error| Failure::reject(error.to_string()))
            })
            .collect();
        let heard: Vec<Heard> = read.iter().flatten().cloned().collect();
        let now = self.clock.now();
        if let Err(error) = self.messages.record(&heard, now).await {
            let wait = store_is_away(&error, "answers wait");
            return read
                .into_iter()
                .map(|heard| heard.and_then(|_| Err(wait.clone())))
                .collect();
        }
        self.ingress.settle(heard.iter().filter_map(Heard::settles));
        self.waiters.wake(heard.iter().map(Heard::run));
        self.metrics.answers.increment(heard.len() as u64);
        let stored = heard
            .iter()
            .filter_map(|heard| Some((heard.org(), heard.wants_receipt()?)));
        let mut receipts = receipts(stored, now);
        read.into_iter()
            .map(|heard| {
                heard.map(|heard| {
                    let id = heard.wants_receipt();
                    id.and_then(|id| receipts.remove(id)).unwrap_or_default()
                })
            })
            .collect()
    }
}

/// What is to be stored waits on the bus, without counting as an attempt.
pub(crate) fn store_is_away(error: &crate::Error, what: &str) -> Failure {
    tracing::error!(%error, "{what}: the store cannot be written");
    let reason = format!("{error}; free disk space or mend the store");
    Failure::wait(STORE_PAUSE, reason)
}
