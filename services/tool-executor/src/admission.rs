//! Whether a claimed call is made.

use std::sync::Arc;
use std::time::Duration;

use nexus_contracts::tool::WholeResult;
use nexus_service_kit::Failure;
use nexus_store::StoreError;

use crate::artefacts::Whose;
use crate::call::Ended;
use crate::execution::Held;
use crate::handler::store_failure;
use crate::health::Said;
use crate::metrics;
use crate::quota::Counted;
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
    pub(crate) async fn admit(&self, entry: Option<Arc<Entry>>) -> Result<Admitted, Failure> {
        let checked = async {
            self.wanted()?;
            let entry = self.known(entry)?;
            self.switched_on().await?;
            self.working(&entry)?;
            self.within_quota(&entry).await?;
            Ok(entry)
        };
        match checked.await {
            Ok(entry) => Ok(Admitted::Run(entry)),
            Err(Objection::Refused(code, detail)) => {
                metrics::answered(code);
                Ok(Admitted::Refused(Ended::failed(code, detail)))
            }
            Err(Objection::Away(error)) => Err(self.give_back(&error).await),
        }
    }

    /// Whether anybody still wants the result.
    fn wanted(&self) -> Result<(), Objection> {
        let (executor, metadata) = (self.executor, &self.call.command.metadata);
        if self.call.is_late(executor.clock.now()) {
            let detail = "the call came after its deadline and was not run";
            return Err(Objection::Refused("deadline_exceeded", detail.to_owned()));
        }
        let run = metadata.run_id.map(|run| run.to_string());
        if run.is_some_and(|run| executor.cancelled.contains(&run)) {
            let detail = "the run was cancelled; the tool was not run";
            return Err(Objection::Refused("cancelled", detail.to_owned()));
        }
        Ok(())
    }

    fn known(&self, entry: Option<Arc<Entry>>) -> Result<Arc<Entry>, Objection> {
        entry.ok_or_else(|| {
            let (name, known) = (&self.call.request.name, self.executor.registry.names());
            let detail = format!("there is no tool `{name}`; there are: {known}");
            Objection::Refused("unknown_tool", detail)
        })
    }

    /// Whether it is on for this organisation and conversation. The database is asked, not the table:
    /// right after a start, or after a loss of the bus, the table may not show it yet.
    async fn switched_on(&self) -> Result<(), Objection> {
        let name = &self.call.request.name;
        let conversation = self.call.command.metadata.conversation_id;
        let switches = &self.executor.switches;
        if switches.are_off(self.call.org, conversation, name).await? {
            let detail = format!("`{name}` is switched off here; go on without it");
            return Err(Objection::Refused("switched_off", detail));
        }
        Ok(())
    }

    /// Whether the tool works.
    fn working(&self, entry: &Entry) -> Result<(), Objection> {
        let (executor, name) = (self.executor, &entry.listed.name);
        if let Some(why) = &entry.listed.stopped {
            let detail = format!("`{name}` cannot be used: {why}");
            return Err(Objection::Refused("unavailable", detail));
        }
        let admitted = executor.health.admit(name, executor.clock.now());
        admitted
            .map_err(|(wait, last)| Objection::Refused("unavailable", resting(name, wait, &last)))
    }

    /// Counts the call, once however often it is begun.
    async fn within_quota(&self, entry: &Entry) -> Result<(), Objection> {
        let (executor, name) = (self.executor, &entry.listed.name);
        let now = executor.clock.now();
        let (org, id) = (self.call.org, &self.call.command.id);
        let over = match executor.quotas.count(org, name, id, now).await {
            Ok(Counted::Within) => return Ok(()),
            Ok(Counted::Over(used)) => {
                let seconds = used.until.saturating_sub(now.as_millis()).max(0) / 1000 + 1;
                let detail = format!(
                    "`{name}` may be called {} times within this window, and was; it can be called \
                     again in {seconds} s. Go on without it",
                    used.of
                );
                Objection::Refused("quota_exceeded", detail)
            }
            Err(error) => Objection::Away(error),
        };
        // It says nothing about the tool, which may be waiting for a probe.
        executor.health.ended(name, Said::Nothing, now);
        Err(over)
    }

    /// Nothing ran: whoever has the message next begins anew.
    async fn give_back(&self, error: &StoreError) -> Failure {
        let (org, id) = (self.call.org, &self.call.command.id);
        if let Err(error) = self.executor.ledger.release(org, id, self.epoch).await {
            tracing::debug!(%id, %error, "a claim could not be given back");
        }
        store_failure(error)
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

/// Why a call is not made.
enum Objection {
    /// One of the codes of `tool.failed`, and what the model is told.
    Refused(&'static str, String),
    /// The database does not say.
    Away(StoreError),
}

impl From<StoreError> for Objection {
    fn from(error: StoreError) -> Self {
        Self::Away(error)
    }
}

fn resting(name: &str, wait: Duration, last: &str) -> String {
    let seconds = wait.as_secs() + 1;
    format!(
        "`{name}` kept failing and is left alone for {seconds} s ({last}); go on without it, or say \
         that it cannot be done now"
    )
}
