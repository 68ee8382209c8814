//! Watching over a call: it goes on for as long as somebody wants it and this worker owns it.

use std::pin::pin;
use std::time::Duration;

use nexus_contracts::RunId;
use nexus_contracts::live::Cancelled;
use nexus_service_kit::{Clock, Message, TableView};
use nexus_store::Ledger;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::command::Command;
use crate::live::Live;

/// Why a call was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A person no longer wants the answer.
    Cancelled,
    /// Another worker owns the command now.
    Lost,
}

/// What a call in progress holds.
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
    /// The runs people no longer want.
    pub cancelled: &'a TableView<Cancelled>,
}

impl Watch<'_> {
    /// Lets `call` run to its end, passing on what it says. Stopping drops it, and with it the
    /// connection to the provider.
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn over<T>(
        &self,
        call: impl Future<Output = T>,
        texts: &mut mpsc::UnboundedReceiver<String>,
        live: &mut Live,
    ) -> Result<T, Stop> {
        let run = self.message.envelope.metadata.run_id;
        let mut changes = self.cancelled.changed();
        if self.is_cancelled(run) {
            return Err(Stop::Cancelled);
        }
        let mut call = pin!(call);
        let period = self.lease / 3;
        let mut beats = interval_at(Instant::now() + period, period);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                ended = &mut call => return Ok(ended),
                () = self.message.lost.cancelled() => return Err(Stop::Lost),
                Ok(()) = changes.changed() => {
                    if self.is_cancelled(run) {
                        return Err(Stop::Cancelled);
                    }
                }
                Some(text) = texts.recv() => live.say(&text).await,
                _ = beats.tick() => {
                    if !self.beat().await {
                        return Err(Stop::Lost);
                    }
                }
            }
        }
    }

    fn is_cancelled(&self, run: Option<RunId>) -> bool {
        run.is_some_and(|run| self.cancelled.contains(&run.to_string()))
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
                tracing::warn!(%error, "a claim could not be renewed; the call goes on");
                true
            }
        }
    }
}
