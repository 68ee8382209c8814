//! A command in, a result out: answered from the ledger, refused, or run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_bus::{Bus, Outgoing};
use nexus_contracts::live::Cancelled;
use nexus_contracts::{Timestamp, channels};
use nexus_service_kit::{
    Clock, DeadLetter, Failure, Handler, Message, Outcome, TableView, crash_point, outgoing,
};
use nexus_store::{Claim, Claimed, EffectClass, Ledger, StoreError};

use crate::admission::Admitted;
use crate::artefacts::Artefacts;
use crate::call::{Call, Ended, unreadable};
use crate::execution::{Execution, Held};
use crate::health::Health;
use crate::quota::Quotas;
use crate::registry::Entry;
use crate::switches::Switches;
use crate::{Config, Registry, metrics};

/// Pause before a command is looked at again when the database does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Carries out `tools.execute`.
pub struct Executor {
    /// The tools.
    pub registry: Arc<Registry>,
    /// What is switched off, for whom.
    pub switches: Switches,
    /// How tools fare.
    pub health: Arc<Health>,
    /// How often they may be called.
    pub quotas: Quotas,
    /// What calls leave behind.
    pub artefacts: Artefacts,
    /// Who may run what, and what came of it.
    pub ledger: Ledger,
    /// The runs a person has cancelled.
    pub cancelled: TableView<Cancelled>,
    /// For live reports.
    pub bus: Bus,
    /// The time.
    pub clock: Clock,
    /// The configuration.
    pub config: Arc<Config>,
}

#[async_trait]
impl Handler for Executor {
    async fn handle(&self, message: Message) -> Outcome {
        let call = Call::read(message.envelope).map_err(Failure::reject)?;
        let Some(ended) = self.perform(&call, &message.lost).await? else {
            // The conversation is gone, and nobody waits for an answer.
            return Ok(Vec::new());
        };
        let answer = call
            .answer(&ended, self.clock.now())
            .map_err(|error| Failure::reject(error.to_string()))?;
        Ok(vec![outgoing(channels::TOOLS_RESULTS, &answer)])
    }

    fn on_dead(&self, letter: &DeadLetter) -> Vec<Outgoing> {
        let Some(command) = &letter.envelope else {
            return Vec::new();
        };
        match unreadable(command, &letter.reason, self.clock.now()) {
            Ok(answer) => vec![outgoing(channels::TOOLS_RESULTS, &answer)],
            Err(error) => {
                tracing::error!(id = %command.id, %error, "a dead command cannot be answered");
                Vec::new()
            }
        }
    }
}

impl Executor {
    /// How the call ended, now or before; `None` when what it is about is erased.
    ///
    /// The ledger is asked before anything is refused: a call that ran is never answered with "it
    /// was not run", however late or unwanted its repetition is.
    async fn perform(
        &self,
        call: &Call,
        lost: &tokio_util::sync::CancellationToken,
    ) -> Result<Option<Ended>, Failure> {
        // Looked up once: a tool that comes or changes meanwhile would run under the class of another.
        let entry = self.registry.get(&call.request.name);
        let claimed = self.ledger.claim(self.claim(call, entry.as_deref())).await;
        match claimed.map_err(|error| store_failure(&error))? {
            Claimed::Run { epoch, .. } => {
                crash_point!("tool-executor.claimed");
                let held = Held {
                    executor: self,
                    call,
                    epoch,
                };
                let ended = match held.admit(entry).await? {
                    Admitted::Run(entry) => Execution { held, entry, lost }.run().await,
                    Admitted::Refused(refusal) => held.store(refusal).await,
                };
                ended.map(Some)
            }
            Claimed::Done { result } => {
                metrics::answered("repeated");
                stored(&result).map(Some)
            }
            Claimed::Erased => Ok(None),
            Claimed::Busy { until } => {
                let reason = "another worker runs this call";
                Err(Failure::wait(time_until(until, self.clock.now()), reason))
            }
            Claimed::Unknown => {
                metrics::answered("unknown_outcome");
                let name = &call.request.name;
                Ok(Some(Ended::failed(
                    "unknown_outcome",
                    format!(
                        "the worker died while `{name}` ran: it may or may not have taken effect, \
                         and is not repeated on its own. Find out before calling it again"
                    ),
                )))
            }
        }
    }

    fn claim(&self, call: &Call, tool: Option<&Entry>) -> Claim {
        let now = self.clock.now();
        let until = call.command.metadata.deadline.unwrap_or(now);
        let keep = i64::try_from(self.config.keep_results.as_millis()).unwrap_or(i64::MAX);
        Claim {
            org: call.org,
            id: call.command.id.clone(),
            about: call
                .command
                .metadata
                .conversation_id
                .map(|id| id.to_string()),
            // What there is no tool for changes nothing.
            class: tool.map_or(EffectClass::ReadOnly, Entry::class),
            now,
            lease: self.config.lease,
            expires_at: until.plus_millis(keep),
        }
    }
}

/// What the ledger keeps of an ended call.
pub(crate) fn stored(result: &[u8]) -> Result<Ended, Failure> {
    serde_json::from_slice(result)
        .map_err(|error| Failure::reject(format!("the stored result cannot be read: {error}")))
}

/// A database that does not answer is waited for, and the attempt does not count.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    if error.is_transient() {
        Failure::wait(STORE_PAUSE, error.to_string())
    } else {
        Failure::retry(STORE_PAUSE, error.to_string())
    }
}

/// How long until another look at a call that somebody else runs: not for its whole lease, because
/// it is mostly done sooner, and at least a moment, so that a lease that ends now is not asked for
/// in a circle.
fn time_until(until: Timestamp, now: Timestamp) -> Duration {
    let millis = until
        .as_millis()
        .saturating_sub(now.as_millis())
        .clamp(50, 1000);
    Duration::from_millis(millis.unsigned_abs())
}
