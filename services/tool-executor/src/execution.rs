//! Running a tool: alone in its task, watched from outside, its result stored before it is told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nexus_contracts::live::LiveEvent;
use nexus_service_kit::{Failure, crash_point, report};
use nexus_store::{Completion, EffectClass, StoreError};
use serde_json::{Value, json};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::call::{Call, Ended};
use crate::handler::{Executor, store_failure, stored};
use crate::health::Said;
use crate::metrics;
use crate::registry::Entry;
use crate::shorten::{self, Kept};
use crate::tool::{Returned, ToolContext, ToolError};

/// The code of a tool that panicked.
const BROKE: &str = "broken";

/// Pause between two tries to store a result.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// One claimed call.
pub(crate) struct Held<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) call: &'a Call,
    pub(crate) epoch: u64,
}

impl Held<'_> {
    /// Stores how the call ended. The first stored result counts.
    pub(crate) async fn store(&self, ended: Ended) -> Result<Ended, Failure> {
        let result =
            serde_json::to_vec(&ended).map_err(|error| Failure::reject(error.to_string()))?;
        let result = Bytes::from(result);
        let id = &self.call.command.id;
        let give_up = Instant::now() + self.executor.config.lease;
        loop {
            match self.try_store(result.clone()).await {
                Ok(Completion::Stored) => return Ok(ended),
                Ok(Completion::Superseded {
                    result: Some(first),
                }) => return stored(&first),
                Ok(Completion::Superseded { result: None }) => {
                    return Err(Failure::wait(STORE_PAUSE, "another worker runs this call"));
                }
                // What was done must not be forgotten because the database was away for a moment.
                Err(error) if error.is_transient() && Instant::now() < give_up => {
                    tracing::warn!(%id, %error, "a result could not be stored; trying again");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
                Err(error) => return Err(store_failure(&error)),
            }
        }
    }

    async fn try_store(&self, result: Bytes) -> Result<Completion, StoreError> {
        crash_point!(
            "tool-executor.before_store",
            fail => return nexus_service_kit::crash::no_store()
        );
        let (ledger, now) = (&self.executor.ledger, self.executor.clock.now());
        let (org, id) = (self.call.org, &self.call.command.id);
        let stored = ledger.complete(org, id, self.epoch, result, now).await;
        crash_point!("tool-executor.stored", fail => return nexus_service_kit::crash::no_store());
        stored
    }
}

/// A claimed call being run.
pub(crate) struct Execution<'a> {
    pub(crate) held: Held<'a>,
    pub(crate) entry: Arc<Entry>,
    pub(crate) lost: &'a CancellationToken,
}

/// The message or the claim belongs to another worker now.
struct Lost;

impl Execution<'_> {
    /// Runs the tool and stores how it ended.
    pub(crate) async fn run(self) -> Result<Ended, Failure> {
        let started = Instant::now();
        let (ended, ()) = tokio::join!(self.watch(), self.report("started", self.arguments()));
        let Ok(ended) = ended else {
            let (name, now) = (&self.entry.listed.name, self.held.executor.clock.now());
            self.held.executor.health.ended(name, Said::Nothing, now);
            return Err(self.give_back().await);
        };
        let ended = match ended {
            Ok(returned) => {
                let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.completed(returned, took).await
            }
            Err(failed) => failed,
        };
        let (name, now) = (&self.entry.listed.name, self.held.executor.clock.now());
        self.held.executor.health.ended(name, said(&ended), now);
        metrics::ran(name, word(&ended), started.elapsed());
        let (status, detail) = match &ended {
            Ended::Completed { result, .. } => ("completed", result.clone()),
            Ended::Failed { code, detail } => ("failed", json!({ "code": code, "detail": detail })),
        };
        let (kept, ()) = tokio::join!(self.held.store(ended), self.report(status, detail));
        kept
    }

    /// Waits for the first thing that ends the call.
    async fn watch(&self) -> Result<Result<Returned, Ended>, Lost> {
        let mut task = self.start();
        let limit = self.entry.timeout();
        tokio::select! {
            biased;
            Some(joined) = task.join_next() => Ok(self.ended(joined)),
            () = self.lost.cancelled() => Err(Lost),
            () = self.claim_lost() => Err(Lost),
            () = self.run_cancelled() => {
                Ok(Err(self.cut_short("cancelled", "the run was cancelled while the tool ran")))
            }
            () = self.deadline_over() => {
                Ok(Err(self.cut_short("deadline_exceeded", "the tool was stopped at the deadline")))
            }
            () = awake(limit) => {
                let detail = format!("the tool was stopped after {} ms", limit.as_millis());
                Ok(Err(self.cut_short("timeout", &detail)))
            }
        }
        // Dropping the set drops the tool's future, which stops it.
    }

    /// What the model gets to see of a result, with the whole of it kept.
    async fn completed(&self, returned: Returned, duration_ms: u64) -> Ended {
        let Returned { value, taint } = returned;
        let most = self.entry.listed.limits.output_bytes;
        let keep = self.held.executor.config.keep_bytes;
        let (result, whole) = match shorten::shorten(value, most, keep) {
            Kept::Short(value) => (value, None),
            Kept::Long {
                beginning,
                text,
                dropped,
            } => {
                match self.held.keep_whole(text, dropped).await {
                    Ok(whole) => (Value::String(beginning), Some(whole)),
                    // Nothing is lost silently: the model is told that this is all there is.
                    Err(error) => (shorten::not_kept(&beginning, &error), None),
                }
            }
        };
        Ended::Completed {
            result,
            whole,
            taint,
            duration_ms,
        }
    }

    fn start(&self) -> JoinSet<Result<Returned, ToolError>> {
        let tool = Arc::clone(&self.entry.tool);
        let arguments = self.held.call.request.arguments.clone();
        let metadata = &self.held.call.command.metadata;
        let ctx = ToolContext {
            now: self.held.executor.clock.now(),
            org_id: self.held.call.org,
            user_id: metadata.user_id,
            conversation_id: metadata.conversation_id,
            run_id: metadata.run_id,
            key: self.held.call.command.id.clone(),
            deadline: metadata.deadline,
            taint: self.held.call.request.taint,
            privacy: self.held.call.request.privacy,
        };
        let mut task = JoinSet::new();
        task.spawn(async move {
            crash_point!("tool-executor.before_effect");
            tool.invoke(&arguments, &ctx).await
        });
        task
    }

    /// Ends at the command's deadline.
    async fn deadline_over(&self) {
        let Some(deadline) = self.held.call.command.metadata.deadline else {
            return std::future::pending().await;
        };
        let now = self.held.executor.clock.now().as_millis();
        let left = deadline.as_millis().saturating_sub(now).max(0);
        tokio::time::sleep(Duration::from_millis(left.unsigned_abs())).await;
    }

    fn ended(
        &self,
        joined: Result<Result<Returned, ToolError>, JoinError>,
    ) -> Result<Returned, Ended> {
        match joined {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => {
                let (tool, id) = (&self.entry.listed.name, &self.held.call.command.id);
                tracing::error!(tool, %id, %error, "a tool panicked");
                Err(self.cut_short(BROKE, "the tool broke, which is a defect of the tool"))
            }
        }
    }

    /// A failure of a call that may have got somewhere.
    fn cut_short(&self, code: &str, what: &str) -> Ended {
        let rest = match self.entry.class() {
            EffectClass::AtMostOnce => {
                ": it may or may not have taken effect; find out before calling it again"
            }
            EffectClass::Inference | EffectClass::ReadOnly | EffectClass::Idempotent => "",
        };
        Ended::failed(code, format!("{what}{rest}"))
    }

    /// Keeps the claim alive; ends when it is lost.
    async fn claim_lost(&self) {
        let Executor {
            ledger,
            clock,
            config,
            ..
        } = self.held.executor;
        loop {
            tokio::time::sleep(config.lease / 3).await;
            let (org, id) = (self.held.call.org, &self.held.call.command.id);
            match ledger
                .heartbeat(org, id, self.held.epoch, clock.now(), config.lease)
                .await
            {
                Ok(true) => {}
                Ok(false) => return,
                // The next one comes before the lease ends.
                Err(error) => tracing::warn!(%id, %error, "a heartbeat could not be stored"),
            }
        }
    }

    /// Ends when the run is cancelled.
    async fn run_cancelled(&self) {
        let Some(run) = self.held.call.command.metadata.run_id else {
            return std::future::pending().await;
        };
        let run = run.to_string();
        let mut changes = self.held.executor.cancelled.changed();
        while !self.held.executor.cancelled.contains(&run) {
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Lets whoever has the message now begin at once, where running again does no harm.
    async fn give_back(&self) -> Failure {
        let (org, id) = (self.held.call.org, &self.held.call.command.id);
        if self.entry.class() != EffectClass::AtMostOnce
            && let Err(error) = self
                .held
                .executor
                .ledger
                .release(org, id, self.held.epoch)
                .await
        {
            tracing::debug!(%id, %error, "a lost claim could not be given back; its lease ends it");
        }
        Failure::wait(STORE_PAUSE, "another worker runs this call")
    }

    fn arguments(&self) -> Value {
        let text = &self.held.call.request.arguments;
        serde_json::from_str(text).unwrap_or_else(|_not_json| Value::String(text.clone()))
    }

    async fn report(&self, status: &str, detail: Value) {
        let metadata = &self.held.call.command.metadata;
        let Some(run) = metadata.run_id else { return };
        let event = LiveEvent::Tool {
            step: metadata.step.unwrap_or(1),
            call_id: self.held.call.request.call_id.clone(),
            name: self.held.call.request.name.clone(),
            status: status.to_owned(),
            detail,
        };
        report(&self.held.executor.bus, run, &event).await;
    }
}

/// Ends when this process was awake for so long. While it is stopped, or its machine suspended, time
/// passes and the tool gets none of it: of such a gap no more than a slice counts.
async fn awake(limit: Duration) {
    const SLICE: Duration = Duration::from_millis(50);
    let mut left = limit;
    while !left.is_zero() {
        let slice = left.min(SLICE);
        tokio::time::sleep(slice).await;
        left -= slice;
    }
}

/// What a call says of its tool.
fn said(ended: &Ended) -> Said {
    match ended {
        Ended::Completed { .. } => Said::Works,
        Ended::Failed { code, detail } => match code.as_str() {
            "unavailable" | "timeout" | BROKE => Said::Broken(detail.clone()),
            "cancelled" | "deadline_exceeded" | "bad_arguments" => Said::Nothing,
            _ => Said::Works,
        },
    }
}

/// How a call ended, in one word of a closed set.
fn word(ended: &Ended) -> &'static str {
    match ended {
        Ended::Completed { .. } => "completed",
        Ended::Failed { code, .. } => match code.as_str() {
            "bad_arguments" => "bad_arguments",
            "unavailable" => "unavailable",
            BROKE => BROKE,
            "timeout" => "timeout",
            "cancelled" => "cancelled",
            "deadline_exceeded" => "deadline_exceeded",
            _ => "failed",
        },
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::{Instant, advance};

    use super::awake;

    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_process_stood_still_is_not_the_tools() {
        let mut limit = pin!(awake(Duration::from_secs(2)));
        assert!(limit.as_mut().now_or_never().is_none());
        advance(Duration::from_mins(1)).await;
        assert!(limit.as_mut().now_or_never().is_none());
        let began = Instant::now();
        limit.await;
        let took = began.elapsed();
        assert!(took > Duration::from_millis(1900), "{took:?}");
        assert!(took < Duration::from_millis(2100), "{took:?}");
    }
}
