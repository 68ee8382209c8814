//! The way into the processor: events that arrived together, and what became of each.

#[cfg(feature = "mutants")]
use std::sync::Arc;
use std::time::Duration;

use nexus_service_kit::Failure;
use tokio::sync::{mpsc, oneshot};

#[cfg(feature = "mutants")]
use crate::config::Config;
#[cfg(feature = "mutants")]
use crate::mutant::Mutant;
use crate::translate::Translated;

/// How long an event waits when the database or the bus is away.
pub(crate) const AWAY: Duration = Duration::from_secs(1);

/// What became of one event.
pub type Handled = Result<(), Failure>;

/// How many events each job of a batch has, and where to say what became of them.
pub(crate) type Replies = Vec<(usize, oneshot::Sender<Vec<Handled>>)>;

/// Events that arrived together, and where to say what became of them.
pub(crate) struct Job {
    pub(crate) events: Vec<Translated>,
    pub(crate) reply: oneshot::Sender<Vec<Handled>>,
}

/// Hands events to the processor. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    pub(crate) queue: mpsc::Sender<Job>,
    #[cfg(feature = "mutants")]
    pub(crate) config: Arc<Config>,
    #[cfg(feature = "mutants")]
    pub(crate) tasks: nexus_service_kit::Tasks,
}

impl Intake {
    /// Handles events; one result each, in the same order. `Ok` means: committed, and everything
    /// it led to is stored by the bus.
    pub async fn handle(&self, events: Vec<Translated>) -> Vec<Handled> {
        #[cfg(feature = "mutants")]
        if self.config.is_mutant(Mutant::AckBeforeCommit) {
            return crate::mutant::acknowledge_first(self.clone(), events);
        }
        self.commit(events).await
    }

    pub(crate) async fn commit(&self, events: Vec<Translated>) -> Vec<Handled> {
        let count = events.len();
        let (reply, answer) = oneshot::channel();
        let sent = self.queue.send(Job { events, reply }).await;
        match (sent, answer.await) {
            (Ok(()), Ok(handled)) => handled,
            _ => (0..count)
                .map(|_| Err(away(&"the orchestrator is stopping")))
                .collect(),
        }
    }
}

pub(crate) fn away(reason: &impl ToString) -> Failure {
    Failure::Wait {
        after: AWAY,
        reason: reason.to_string(),
    }
}

pub(crate) fn split(batch: Vec<Job>) -> (Vec<Translated>, Replies) {
    let mut events = Vec::new();
    let mut replies = Vec::with_capacity(batch.len());
    for job in batch {
        replies.push((job.events.len(), job.reply));
        events.extend(job.events);
    }
    (events, replies)
}

pub(crate) fn answer(replies: Replies, handled: Vec<Handled>) {
    let mut handled = handled.into_iter();
    for (count, reply) in replies {
        // A loop that is gone has given its deliveries back; they come again.
        let _gone = reply.send(handled.by_ref().take(count).collect());
    }
}
