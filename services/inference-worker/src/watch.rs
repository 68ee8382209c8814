//! Watching over an answer: it goes on for as long as somebody wants it and this worker owns it.

use std::pin::pin;
use std::time::Duration;

use nexus_contracts::live::Cancelled;
use nexus_service_kit::{Clock, Message, TableView};
use nexus_store::Ledger;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::command::Command;
use crate::live::Live;

/// Why an answer was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nobody wants the answer any more.
    Cancelled,
    /// It took longer than the command allows.
    Late,
    /// Another worker owns the command now.
    Lost,
}

/// What an answer in progress holds.
pub struct Watch<'a> {
    /// The message that carries the command.
    pub message: &'a Message,
    /// The command.
    pub command: &'a Command,
    /// The claim on it.
    pub epoch: u64,
    /// Where the claim is kept.
    pub ledger: &'a Ledger,
    /// The time.
    pub clock: &'a Clock,
    /// How long the claim lasts without a heartbeat.
    pub lease: Duration,
    /// The runs nobody wants any more.
    pub cancelled: &'a TableView<Cancelled>,
}

impl Watch<'_> {
    /// Lets `answer` run to its end, passing on what it says. Stopping drops it, and the engine
    /// ends it.
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn over<T>(
        &self,
        answer: impl Future<Output = T>,
        texts: &mut mpsc::UnboundedReceiver<String>,
        live: &mut Live,
    ) -> Result<T, Stop> {
        let mut changes = self.cancelled.changed();
        if self.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let left = self.command.deadline.as_millis() - self.clock.now().as_millis();
        let Ok(left @ 1..) = u64::try_from(left) else {
            return Err(Stop::Late);
        };
        let mut late = pin!(sleep_until(Instant::now() + Duration::from_millis(left)));
        let mut answer = pin!(answer);
        let period = self.lease / 3;
        let mut beats = interval_at(Instant::now() + period, period);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                ended = &mut answer => return Ok(ended),
                () = self.message.lost.cancelled() => return Err(Stop::Lost),
                () = &mut late => return Err(Stop::Late),
                Ok(()) = changes.changed() => {
                    if self.is_cancelled() {
                        return Err(Stop::Cancelled);
                    }
                }
                Some(text) = texts.recv() => live.say(&text).await,
                _ = beats.tick() => {
                    if !self.beat().await {
                        return Err(Stop::Lost);
                    }
                    live.sign().await;
                }
            }
        }
    }

    /// Whether the run, or this one call of it, was cancelled.
    fn is_cancelled(&self) -> bool {
        let runs = [self.command.run, Some(self.command.call)];
        runs.into_iter()
            .flatten()
            .any(|run| self.cancelled.contains(&run.to_string()))
    }

    /// Renews the claim; `false` when it is another's. A database that is away may come back
    /// before the claim ends, so it stops nothing.
    async fn beat(&self) -> bool {
        let Command { org, id, .. } = self.command;
        let now = self.clock.now();
        match self
            .ledger
            .heartbeat(*org, id, self.epoch, now, self.lease)
            .await
        {
            Ok(owned) => owned,
            Err(error) => {
                tracing::warn!(%error, "a claim could not be renewed; the answer goes on");
                true
            }
        }
    }
}
