//! A command in, its result out: claimed in the ledger first, so that it is paid for once.

mod answer;
pub mod cached;
mod embed;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use nexus_bus::{Bus, Outgoing};
use nexus_contracts::live::Cancelled;
use nexus_contracts::{Extra, Timestamp};
use nexus_service_kit::{
    Clock, DeadLetter, Failure, Handler, Message, Outcome, TableView, crash_point,
};
use nexus_store::{Claim, Claimed, Completion, EffectClass, Ledger, StoreError};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::call::Means;
use crate::command::{Command, Reply, Wanted};
use crate::config::Config;
use crate::health::Health;
use crate::limits::shared::SharedLimits;
use crate::live::{Live, Telling, Texts};
use crate::provider::human::entry::key;
use crate::provider::human::table::{self, Left};
use crate::provider::{FailureClass, ProviderFailure, ProviderType};
use crate::reload::Current;
use crate::reply::{self, Done, Ended};
use crate::tally::Tally;
use crate::watch::{Stop, Watch};
use crate::{stored, usage};
use cached::Meanings;

/// How long a command waits when the database cannot be asked.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Longest wait for somebody to be asked: they may be free sooner than they said.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Shortest wait for a claim somebody else holds.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// How long a question to a person is tried to be removed: what is left is over at its deadline.
const LEAVE: Duration = Duration::from_secs(2);

/// Carries out `inference.requested` and `embedding.requested`.
pub struct Router {
    /// The providers.
    pub providers: Current,
    /// What was carried out already.
    pub ledger: Ledger,
    /// The bus, for the live streams.
    pub bus: Bus,
    /// The time.
    pub clock: Clock,
    /// How everybody fares.
    pub health: Arc<Health>,
    /// What everybody takes at most.
    pub limits: Arc<SharedLimits>,
    /// The runs people no longer want.
    pub cancelled: TableView<Cancelled>,
    /// What was answered before, by its meaning.
    pub meanings: Meanings,
    /// See [`Config`].
    pub config: Config,
}

#[async_trait]
impl Handler for Router {
    async fn handle(&self, message: Message) -> Outcome {
        let now = self.clock.now();
        let (command, mut wanted) = Command::read(&message.envelope, now, self.config.timeout)
            .map_err(|error| Failure::reject(error.to_string()))?;
        match self.ledger.claim(self.claim(&command, now)).await {
            Ok(Claimed::Run { epoch, attempt }) => {
                crash_point!("provider-router.claimed");
                let again = attempt > 1 || message.attempts > 1;
                if again {
                    wanted.again();
                }
                let telling = match (wanted.is_quiet(), again) {
                    (true, _) => Telling::Quiet,
                    (false, true) => Telling::Again,
                    (false, false) => Telling::First,
                };
                let work = (&command, wanted);
                let outcome = self.carry_out(&message, work, epoch, telling).await;
                // Whoever tried before may have asked a person, and this time somebody else answered.
                if again && outcome.is_ok() {
                    self.leave(&command, Left::WhatWasSaid).await;
                }
                outcome
            }
            Ok(Claimed::Done { result }) => {
                self.leave(&command, Left::WhatWasSaid).await;
                repeat(&result)
            }
            Ok(Claimed::Busy { until }) => {
                let left = u64::try_from(until.as_millis() - now.as_millis()).unwrap_or(0);
                let wait = Duration::from_millis(left).max(SHORTEST_WAIT);
                Err(Failure::wait(
                    wait,
                    "another worker has claimed this command",
                ))
            }
            // The conversation is gone, and nobody waits for an answer.
            Ok(Claimed::Erased) => {
                self.leave(&command, Left::Nothing).await;
                Ok(Vec::new())
            }
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
        let failed = nexus_contracts::events::InferenceFailed {
            code: code.to_owned(),
            detail,
            retryable: false,
            provider: None,
            extra: Extra::new(),
        };
        match Reply::Failed(failed).record(envelope, self.clock.now()) {
            Ok(result) => vec![result],
            Err(error) => {
                tracing::error!(id = %envelope.id, %error, "a failure could not be written");
                Vec::new()
            }
        }
    }
}

impl Router {
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
        (command, wanted): (&Command, Wanted),
        epoch: u64,
        telling: Telling,
    ) -> Outcome {
        let (purpose, task) = (wanted.purpose(), wanted.task());
        let mut live = Live::new(self.bus.clone(), &message.envelope.metadata, telling);
        let (texts, mut heard) = mpsc::unbounded_channel();
        let watch = Watch {
            message,
            command,
            epoch,
            ledger: &self.ledger,
            clock: &self.clock,
            lease: self.config.lease,
            cancelled: &self.cancelled,
        };
        // Out here, so that what a call has taken is known though the call is dropped.
        let tally = Tally::default();
        let call = self.call(command, wanted, &tally, Texts(texts));
        let ended = watch.over(call, &mut heard, &mut live).await;
        let took = tally.close();
        let used = || {
            let about = (&message.envelope, epoch);
            usage::records(&took, about, purpose, self.clock.now())
        };
        let mut done = match ended {
            Ok(Ended::Done(done)) => *done,
            Ok(Ended::NotNow(wait)) => {
                self.release(command, epoch).await;
                // Vectors may have been made, to look the answer up.
                usage::tell(&self.bus, used()).await;
                let wait = wait.min(LONGEST_WAIT);
                return Err(Failure::wait(
                    wait,
                    "nobody who could answer may be asked yet",
                ));
            }
            Err(Stop::Cancelled) => Done::told(reply::cancelled()),
            Err(Stop::Lost) => {
                self.release(command, epoch).await;
                usage::tell(&self.bus, used()).await;
                return Err(Failure::wait(
                    SHORTEST_WAIT,
                    "another worker owns this command now",
                ));
            }
        };
        done.reply.take_note(&took, task);
        let fit = done.fit.take();
        let rest: String = std::iter::from_fn(|| heard.try_recv().ok()).collect();
        let ((), outcome) = tokio::join!(
            live.finish(&rest),
            self.settle(message, command, epoch, (done, used()))
        );
        let mut asked = took.iter().map(|attempt| attempt.candidate.configured.kind);
        if outcome.is_ok() && asked.any(ProviderType::is_person) {
            self.leave(command, Left::WhatWasSaid).await;
        }
        // Behind the result, or a repetition would find its own answer and take it for somebody else's.
        if outcome.is_ok()
            && let Some(fit) = fit
        {
            self.keep_answer(command, *fit).await;
        }
        outcome
    }

    /// Asks whom it should, unless there is a reason not to.
    async fn call(
        &self,
        command: &Command,
        wanted: Wanted,
        tally: &Tally,
        mut texts: Texts,
    ) -> Ended {
        let named = match &wanted {
            Wanted::Answer(asked) => asked.provider.clone(),
            Wanted::Vectors(asked) => asked.provider.clone(),
        };
        let ended = match wanted {
            _ if command.deadline <= self.clock.now() => Err(too_late(command)),
            Wanted::Answer(asked) => self.answer(command, *asked, tally, &mut texts).await,
            Wanted::Vectors(asked) => self.vectors(command, asked, tally).await,
        };
        ended.unwrap_or_else(|failure| {
            let reply = Reply::failed(&failure, named.as_deref());
            Ended::Done(Box::new(Done::told(reply)))
        })
    }

    /// Until when an answer is waited for.
    fn until(&self, command: &Command) -> Instant {
        let left = command.deadline.as_millis() - self.clock.now().as_millis();
        Instant::now() + Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    fn means<'a>(&'a self, tally: &'a Tally) -> Means<'a> {
        Means {
            health: &self.health,
            limits: &self.limits,
            tally,
        }
    }

    /// Stores a result, or gives the claim back; then the result may be published.
    async fn settle(
        &self,
        message: &Message,
        command: &Command,
        epoch: u64,
        (done, used): (Done, Vec<Outgoing>),
    ) -> Outcome {
        let now = self.clock.now();
        let result = done
            .reply
            .record(&message.envelope, now)
            .map_err(unwritable)?;
        let mut results = vec![result];
        results.extend(used);
        if !done.keep {
            self.release(command, epoch).await;
            return Ok(results);
        }
        let bytes = stored::encode(&results).map_err(unwritable)?;
        match self.store(command, epoch, bytes).await {
            Ok(Completion::Stored) => Ok(results),
            Ok(Completion::Superseded { result }) => {
                // What this worker took is paid for all the same.
                let used = results.split_off(1);
                let Some(theirs) = result else {
                    usage::tell(&self.bus, used).await;
                    let why = "another worker answers this command";
                    return Err(Failure::wait(SHORTEST_WAIT, why));
                };
                let mut repeated = repeat(&theirs)?;
                repeated.extend(used);
                Ok(repeated)
            }
            Err(error) => {
                // The answer is paid for. Told without being stored, at worst it is paid twice.
                tracing::warn!(id = %command.id, %error, "a result could not be stored");
                Ok(results)
            }
        }
    }

    async fn store(
        &self,
        command: &Command,
        epoch: u64,
        result: Bytes,
    ) -> Result<Completion, StoreError> {
        crash_point!(
            "provider-router.before_store",
            fail => return nexus_service_kit::crash::no_store()
        );
        let (org, id, now) = (command.org, &command.id, self.clock.now());
        let stored = self.ledger.complete(org, id, epoch, result, now).await;
        crash_point!("provider-router.stored", fail => return nexus_service_kit::crash::no_store());
        stored
    }

    /// Nobody waits for a person any more. Only now, when the result is stored: what a person has said
    /// must not be lost with the process that heard it.
    async fn leave(&self, command: &Command, left: Left) {
        if !self.providers.get().all().any(|one| one.kind.is_person()) {
            return;
        }
        let id = &command.id;
        let key = key(command.org, id.as_str());
        let settled = timeout(LEAVE, table::settle(&self.bus, &key, left));
        if !matches!(settled.await, Ok(Ok(()))) {
            tracing::debug!(%id, "a question to a person is left in the inbox until its deadline");
        }
    }

    async fn release(&self, command: &Command, epoch: u64) {
        if let Err(error) = self.ledger.release(command.org, &command.id, epoch).await {
            tracing::warn!(id = %command.id, %error, "a claim could not be given back; it ends by itself");
        }
    }
}

fn too_late(command: &Command) -> ProviderFailure {
    let detail = format!(
        "the deadline, {}, was over before the call began",
        command.deadline
    );
    ProviderFailure::new(FailureClass::DeadlineExceeded, detail)
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::reject(format!("the result cannot be written: {error}"))
}

/// The stored result once more, byte for byte.
fn repeat(result: &[u8]) -> Outcome {
    match stored::decode(result) {
        Ok(results) => Ok(results),
        Err(error) => Err(Failure::reject(format!(
            "the stored result is unreadable: {error}"
        ))),
    }
}
