//! Whether a claimed call is made.

use std::sync::Arc;
use std::time::Duration;

use nexus_contracts::tool::{ToolSwitch, WholeResult};
use nexus_service_kit::Failure;

use crate::artefacts::Whose;
use crate::call::Ended;
use crate::execution::Held;
use crate::handler::store_failure;
use crate::metrics;
use crate::registry::Entry;

/// What becomes of a claimed call.
pub(crate) enum Admitted {
    /// It is made.
    Run(Arc<Entry>),
    /// It is not; the model is told why.
    Refused(Ended),
}

impl Held<'_> {
    /// The tool to run, or why it is not to be run.
    pub(crate) async fn admit(&self, attempt: u32) -> Result<Admitted, Failure> {
        let refused = match self.wanted().and_then(|()| self.usable()) {
            Ok(entry) => match self.within_quota(&entry, attempt).await? {
                None => return Ok(Admitted::Run(entry)),
                Some(refused) => refused,
            },
            Err(refused) => refused,
        };
        metrics::answered(refused.0);
        Ok(Admitted::Refused(Ended::failed(refused.0, refused.1)))
    }

    /// Whether anybody still wants the result.
    fn wanted(&self) -> Result<(), Refusal> {
        let (executor, metadata) = (self.executor, &self.call.command.metadata);
        if self.call.is_late(executor.clock.now()) {
            let detail = "the call came after its deadline and was not run";
            return Err(("deadline_exceeded", detail.to_owned()));
        }
        let run = metadata.run_id.map(|run| run.to_string());
        if run.is_some_and(|run| executor.cancelled.contains(&run)) {
            let detail = "the run was cancelled; the tool was not run";
            return Err(("cancelled", detail.to_owned()));
        }
        Ok(())
    }

    /// Whether the tool is there, switched on for this organisation and conversation, and works.
    fn usable(&self) -> Result<Arc<Entry>, Refusal> {
        let (executor, name) = (self.executor, &self.call.request.name);
        let Some(entry) = executor.registry.get(name) else {
            let known = executor.registry.names();
            let detail = format!("there is no tool `{name}`; there are: {known}");
            return Err(("unknown_tool", detail));
        };
        let conversation = self.call.command.metadata.conversation_id;
        let mut scopes = [None, conversation].into_iter();
        if scopes.any(|scope| {
            let key = ToolSwitch::key(self.call.org, scope, name);
            executor.off.contains(&key)
        }) {
            let detail = format!("`{name}` is switched off here; go on without it");
            return Err(("switched_off", detail));
        }
        if let Some(why) = &entry.listed.stopped {
            let detail = format!("`{name}` cannot be used: {why}");
            return Err(("unavailable", detail));
        }
        match executor.health.admit(name, executor.clock.now()) {
            Ok(()) => Ok(entry),
            Err((wait, last)) => Err(("unavailable", resting(name, wait, &last))),
        }
    }

    /// Counts the call, unless it is one that a dead worker had begun.
    async fn within_quota(&self, entry: &Entry, attempt: u32) -> Result<Option<Refusal>, Failure> {
        if attempt > 1 {
            return Ok(None);
        }
        let (executor, name) = (self.executor, &entry.listed.name);
        let now = executor.clock.now();
        let counted = executor.quotas.count(self.call.org, name, now).await;
        match counted {
            Ok(Some(used)) if used.calls > used.of => {
                let seconds = used.until.saturating_sub(now.as_millis()).max(0) / 1000 + 1;
                let detail = format!(
                    "`{name}` may be called {} times within this window, and was; it can be called \
                     again in {seconds} s. Go on without it",
                    used.of
                );
                // It says nothing about the tool, which may be waiting for a probe.
                executor
                    .health
                    .ended(name, crate::health::Said::Nothing, now);
                Ok(Some(("quota_exceeded", detail)))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                executor
                    .health
                    .ended(name, crate::health::Said::Nothing, now);
                // Nothing ran: whoever has the message next begins anew.
                let (org, id) = (self.call.org, &self.call.command.id);
                if let Err(error) = executor.ledger.release(org, id, self.epoch).await {
                    tracing::debug!(%id, %error, "a claim could not be given back");
                }
                Err(store_failure(&error))
            }
        }
    }

    /// Keeps the whole of a result of which the model sees the beginning.
    pub(crate) async fn keep_whole(
        &self,
        text: String,
        dropped_bytes: u64,
    ) -> Result<WholeResult, String> {
        let command = &self.call.command;
        // Of this attempt: another one may have been told something else.
        let reference = format!("{}.{}", command.id, self.epoch);
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let whose = Whose {
            org: self.call.org,
            conversation: command.metadata.conversation_id,
        };
        let kept = self.executor.artefacts.keep(whose, &reference, text.into());
        kept.await.map_err(|error| error.to_string())?;
        Ok(WholeResult {
            reference,
            bytes,
            dropped_bytes,
        })
    }
}

/// One of the codes of `tool.failed`, and what the model is told.
type Refusal = (&'static str, String);

fn resting(name: &str, wait: Duration, last: &str) -> String {
    let seconds = wait.as_secs() + 1;
    format!(
        "`{name}` kept failing and is left alone for {seconds} s ({last}); go on without it, or say \
         that it cannot be done now"
    )
}
