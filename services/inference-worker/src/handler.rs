//! A command in, its result out: claimed in the ledger first, so that it is worked on once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use nexus_bus::{Bus, Outgoing};
use nexus_contracts::Timestamp;
use nexus_contracts::live::Cancelled;
use nexus_service_kit::{
    Clock, DeadLetter, Failure, Handler, Message, Outcome, TableView, crash_point,
};
use nexus_store::{Claim, Claimed, Completion, EffectClass, Ledger, StoreError};
use tokio::sync::mpsc;

use crate::command::{Asked, Command, Failed, Reply};
use crate::config::Config;
use crate::engine::{Engine, Slot};
use crate::live::Live;
use crate::metrics;
use crate::models::Models;
use crate::stored;
use crate::watch::{Stop, Watch};
use crate::work::{Wanted, work};

/// How long a command waits when the database cannot be asked.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Shortest wait for a claim somebody else holds.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// Carries out `inference.requested` and `embedding.requested`.
pub struct Worker {
    /// The models.
    pub models: Models,
    /// What was carried out already.
    pub ledger: Ledger,
    /// The bus, for the live streams.
    pub bus: Bus,
    /// The time.
    pub clock: Clock,
    /// The runs nobody wants any more.
    pub cancelled: TableView<Cancelled>,
    /// See [`Config`].
    pub config: Config,
}

#[async_trait]
impl Handler for Worker {
    async fn handle(&self, message: Message) -> Outcome {
        let now = self.clock.now();
        let command = Command::read(&message.envelope, now, self.config.timeout)
            .map_err(|error| Failure::reject(error.to_string()))?;
        let admitted = match self.models.find(&command.asked) {
            Ok(engine) => Ok(self.admit(engine)?),
            Err(failed) => Err(failed),
        };
        match self.ledger.claim(self.claim(&command, now)).await {
            Ok(Claimed::Run { epoch, .. }) => {
                crash_point!("inference-worker.claimed");
                let work = self.carry_out(&message, command, epoch, admitted);
                Box::pin(work).await
            }
            Ok(Claimed::Done { result }) => repeat(&result),
            Ok(Claimed::Busy { until }) => {
                let left = u64::try_from(until.as_millis() - now.as_millis()).unwrap_or(0);
                let wait = Duration::from_millis(left).max(SHORTEST_WAIT);
                Err(Failure::wait(
                    wait,
                    "another worker has claimed this command",
                ))
            }
            // The conversation is gone, and nobody waits for an answer.
            Ok(Claimed::Erased) => Ok(Vec::new()),
            // Only effects that may happen at most once become unknown.
            Ok(Claimed::Unknown) => Err(Failure::reject("the ledger has lost this command")),
            Err(error) => Err(Failure::wait(STORE_PAUSE, error.to_string())),
        }
    }

    fn on_dead(&self, letter: &DeadLetter) -> Vec<Outgoing> {
        let Some(envelope) = &letter.envelope else {
            return Vec::new();
        };
        let code = if letter.code == "rejected" {
            "bad_request"
        } else {
            "poisoned"
        };
        let detail = format!("the command was given up: {}", letter.reason);
        match Reply::Failed(Failed::new(code, detail)).record(envelope, self.clock.now()) {
            Ok(result) => vec![result],
            Err(error) => {
                tracing::error!(id = %envelope.id, %error, "a failure could not be written");
                Vec::new()
            }
        }
    }
}

/// A model with a place kept in it.
struct Admitted {
    engine: Arc<Engine>,
    slot: Slot,
}

impl Worker {
    /// A place in a model. Other models may have places while this one has none, so a command
    /// that finds none makes way, and waits uncounted.
    fn admit(&self, engine: &Arc<Engine>) -> Result<Admitted, Failure> {
        match engine.try_admit() {
            Some(slot) => Ok(Admitted {
                engine: Arc::clone(engine),
                slot,
            }),
            None => {
                metrics::waited(engine);
                let reason = format!("model `{}` has no place free", engine.name());
                Err(Failure::wait(self.config.busy_pause, reason))
            }
        }
    }

    fn claim(&self, command: &Command, now: Timestamp) -> Claim {
        let kept = i64::try_from(self.config.ledger_retention.as_millis()).unwrap_or(i64::MAX);
        Claim {
            org: command.org,
            id: command.id.clone(),
            about: command.conversation.map(|id| id.to_string()),
            class: EffectClass::Inference,
            now,
            lease: self.config.lease,
            expires_at: command.deadline.max(now).plus_millis(kept),
        }
    }

    async fn carry_out(
        &self,
        message: &Message,
        command: Command,
        epoch: u64,
        admitted: Result<Admitted, Failed>,
    ) -> Outcome {
        let Admitted { engine, slot } = match admitted {
            Ok(admitted) => admitted,
            Err(failed) => {
                let reply = Reply::Failed(failed);
                return self.settle(message, &command, epoch, reply).await;
            }
        };
        let mut live = Live::new(self.bus.clone(), command.call, command.step);
        if matches!(&command.asked, Asked::Answer(asked) if asked.quiet) {
            live = live.muted();
        }
        let (texts, mut heard) = mpsc::unbounded_channel();
        let watch = Watch {
            message,
            command: &command,
            epoch,
            ledger: &self.ledger,
            clock: &self.clock,
            lease: self.config.lease,
            cancelled: &self.cancelled,
        };
        crash_point!("inference-worker.before_call");
        let wanted = Wanted {
            engine: &engine,
            command: &command,
            texts,
        };
        let reply = match watch.over(work(wanted, slot), &mut heard, &mut live).await {
            Ok(reply) => reply,
            Err(Stop::Cancelled) => stopped(&engine, "cancelled", "the run was cancelled"),
            Err(Stop::Late) => {
                let detail = format!("the deadline, {}, is over", command.deadline);
                stopped(&engine, "deadline_exceeded", &detail)
            }
            Err(Stop::Lost) => {
                metrics::ended(&engine, "lost");
                self.release(&command, epoch).await;
                return Err(Failure::wait(
                    SHORTEST_WAIT,
                    "another worker owns this command now",
                ));
            }
        };
        let rest: String = std::iter::from_fn(|| heard.try_recv().ok()).collect();
        let ((), outcome) = tokio::join!(
            live.finish(&rest),
            self.settle(message, &command, epoch, reply)
        );
        outcome
    }

    /// Stores a result, or gives the claim back; then the result may be published.
    async fn settle(
        &self,
        message: &Message,
        command: &Command,
        epoch: u64,
        reply: Reply,
    ) -> Outcome {
        let now = self.clock.now();
        let result = reply.record(&message.envelope, now).map_err(unwritable)?;
        if matches!(&reply, Reply::Failed(failed) if failed.is_transient()) {
            self.release(command, epoch).await;
            return Ok(vec![result]);
        }
        let bytes = stored::encode(&result).map_err(unwritable)?;
        match self.store(command, epoch, bytes).await {
            Ok(Completion::Stored) => Ok(vec![result]),
            Ok(Completion::Superseded {
                result: Some(theirs),
            }) => repeat(&theirs),
            Ok(Completion::Superseded { result: None }) => Err(Failure::wait(
                SHORTEST_WAIT,
                "another worker answers this command",
            )),
            Err(error) => {
                // The answer is there. Told without being stored, at worst it is made twice.
                tracing::warn!(id = %command.id, %error, "a result could not be stored");
                Ok(vec![result])
            }
        }
    }

    async fn store(
        &self,
        command: &Command,
        epoch: u64,
        result: Bytes,
    ) -> Result<Completion, StoreError> {
        let (org, id, now) = (command.org, &command.id, self.clock.now());
        self.ledger.complete(org, id, epoch, result, now).await
    }

    async fn release(&self, command: &Command, epoch: u64) {
        if let Err(error) = self.ledger.release(command.org, &command.id, epoch).await {
            tracing::warn!(id = %command.id, %error, "a claim could not be given back; it ends by itself");
        }
    }
}

fn stopped(engine: &Engine, code: &'static str, detail: &str) -> Reply {
    metrics::ended(engine, code);
    Reply::Failed(Failed::new(code, detail))
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::reject(format!("the result cannot be written: {error}"))
}

/// The stored result once more, byte for byte.
fn repeat(result: &[u8]) -> Outcome {
    match stored::decode(result) {
        Ok(result) => Ok(vec![result]),
        Err(error) => Err(Failure::reject(format!(
            "the stored result is unreadable: {error}"
        ))),
    }
}
