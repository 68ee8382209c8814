//! The one place where events of all channels meet: many share a commit, then their messages are
//! published, then they are acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::Outgoing;
use nexus_contracts::{MessageId, OrgId, RunId, Timestamp};
use nexus_service_kit::{Deps, Failure, crash_point, outgoing};
use nexus_store::{SharedTx, Store, TenantRef};
use tokio::sync::{Semaphore, mpsc};

use crate::config::Config;
use crate::core::Ctx;
use crate::db::dispatch;
use crate::db::load::{load, repeated};
use crate::db::write::{self, Writing};
use crate::environment::{Environments, Known};
use crate::error::Error;
use crate::intake::{AWAY, Handled, Intake, Job, answer, away, split};
use crate::mutant::Mutant;
use crate::plan::{self, Plan};
use crate::translate::{Inbound, Translated};
use crate::{emit, metrics};

/// How often a batch is loaded again when another replica changed one of its conversations.
const CONFLICT_TRIES: u32 = 10;

/// Publications of earlier commits that may still be under way while the next one is written.
const PUBLISHING: usize = 4;

/// When the rows of an organisation that was just met are pruned for the first time.
const PRUNE_AFTER_MS: i64 = 60 * 60 * 1000;

/// Commits and publishes.
pub struct Processor {
    deps: Deps,
    store: Store,
    config: Arc<Config>,
    environments: Environments,
}

/// What a commit leaves to do.
#[derive(Default)]
struct Committed {
    publish: Vec<Outgoing>,
    live: Vec<emit::Live>,
    cancelled: Vec<(RunId, Timestamp)>,
    again: Vec<usize>,
    learned: Vec<(OrgId, String)>,
}

impl Processor {
    /// Starts the processor as a task of the node.
    pub fn start(
        deps: &Deps,
        store: Store,
        config: &Arc<Config>,
        environments: Environments,
    ) -> Intake {
        let (queue, jobs) = mpsc::channel(1024);
        let processor = Arc::new(Self {
            deps: deps.clone(),
            store,
            config: Arc::clone(config),
            environments,
        });
        deps.tasks
            .spawn("orchestrator.processor", processor.run(jobs));
        Intake {
            queue,
            #[cfg(feature = "mutants")]
            config: Arc::clone(config),
            #[cfg(feature = "mutants")]
            tasks: deps.tasks.clone(),
        }
    }

    async fn run(self: Arc<Self>, mut jobs: mpsc::Receiver<Job>) {
        let listed = self.environments.tools_listed(self.config.tools_wait);
        if self.deps.shutdown.run_until_cancelled(listed).await == Some(false) {
            tracing::warn!(
                "no service has listed its tools; agents do without until one does (tool-executor)"
            );
        }
        let publishing = Arc::new(Semaphore::new(PUBLISHING));
        while let Some(first) = jobs.recv().await {
            let mut size = first.events.len();
            let mut batch = vec![first];
            while size < self.config.batch {
                let Ok(job) = jobs.try_recv() else { break };
                size += job.events.len();
                batch.push(job);
            }
            let Ok(permit) = Arc::clone(&publishing).acquire_owned().await else {
                return;
            };
            let (events, replies) = split(batch);
            let committed = self.commit(&events).await;
            let processor = Arc::clone(&self);
            self.deps.tasks.spawn("orchestrator.publish", async move {
                let handled = processor.deliver(committed, events.len()).await;
                answer(replies, handled);
                drop(permit);
            });
        }
    }

    /// One transaction for all events; when it fails for a reason that lies in one of them, one
    /// transaction each, so that a single bad event harms no other.
    async fn commit(&self, events: &[Translated]) -> Vec<(Vec<usize>, Result<Committed, Error>)> {
        let all: Vec<usize> = (0..events.len()).collect();
        match self.commit_together(events, &all).await {
            Err(error) if events.len() > 1 && !is_away(&error) => {
                tracing::warn!(%error, events = events.len(), "batch failed; events one by one");
                let mut each = Vec::with_capacity(events.len());
                for at in all {
                    each.push((vec![at], self.commit_together(events, &[at]).await));
                }
                each
            }
            result => vec![(all, result)],
        }
    }

    async fn commit_together(
        &self,
        events: &[Translated],
        chosen: &[usize],
    ) -> Result<Committed, Error> {
        for _ in 1..CONFLICT_TRIES {
            match self.transaction(events, chosen).await {
                Err(Error::Conflict) => metrics::conflict(),
                result => return result,
            }
        }
        self.transaction(events, chosen).await
    }

    async fn transaction(
        &self,
        events: &[Translated],
        chosen: &[usize],
    ) -> Result<Committed, Error> {
        let now = self.deps.clock.now();
        let tx = self.store.begin_brief().await?;
        crash_point!(
            "orchestrator.before_load",
            fail => return nexus_service_kit::crash::no_store()
        );
        let mut committed = Committed::default();
        for (org, group) in by_organisation(events, chosen) {
            self.organisation(&tx, (org, &group), now, &mut committed)
                .await?;
        }
        crash_point!(
            "orchestrator.before_commit",
            fail => return nexus_service_kit::crash::no_store()
        );
        tx.commit().await?;
        crash_point!("orchestrator.committed", fail => return nexus_service_kit::crash::no_store());
        self.environments
            .stored(std::mem::take(&mut committed.learned));
        Ok(committed)
    }

    /// The events of one organisation: loaded, planned and written.
    async fn organisation(
        &self,
        tx: &SharedTx,
        (org, group): (OrgId, &Group<'_>),
        now: Timestamp,
        committed: &mut Committed,
    ) -> Result<(), Error> {
        let tenant = tx.tenant(org);
        for (by, ids) in &group.receipts {
            write::confirm(&tenant, by, ids).await?;
        }
        if group.events.is_empty() {
            return Ok(());
        }
        let batch: Vec<&Inbound> = group.events.iter().map(|(_, event)| *event).collect();
        let known = self.environments.of(org)?;
        let ctx = Ctx {
            now,
            environment: &known.environment,
        };
        let mut loaded = load(&tenant, &batch).await?;
        if self.config.is_mutant(Mutant::NoInbox) {
            loaded.inbox.clear();
        }
        let mut plan = plan::plan(&batch, &mut loaded, &ctx)?;
        if self.config.is_mutant(Mutant::NoInbox) {
            plan.inbox.clear();
        }
        let again = plan.again.iter();
        let again = again.filter_map(|at| group.events.get(*at).map(|(at, _)| *at));
        committed.again.extend(again);
        if !plan.repeat.is_empty() {
            committed
                .publish
                .extend(repeated(&tenant, &plan.repeat).await?);
        }
        self.learn(&tenant, &known, now, committed).await?;
        let resend_after = self.config.resend_after.as_millis();
        let writing = Writing {
            now,
            resend_after_ms: i64::try_from(resend_after).unwrap_or(i64::MAX),
            keepers: &self.config.keepers,
            environment: &known.hash,
            compare_and_set: !self.config.is_mutant(Mutant::NoCompareAndSet),
        };
        write::write(&tenant, &plan, &writing).await?;
        collect(committed, plan);
        Ok(())
    }

    /// Keeps an environment that this process has not seen stored, and sees to it that the
    /// organisation is pruned.
    async fn learn(
        &self,
        tenant: &TenantRef<'_>,
        known: &Known,
        now: Timestamp,
        committed: &mut Committed,
    ) -> Result<(), Error> {
        let org = tenant.org();
        if self.environments.is_stored(org, known) {
            return Ok(());
        }
        write::environment(tenant, &known.hash, &known.body).await?;
        dispatch::plan_retention(tenant, now.plus_millis(PRUNE_AFTER_MS)).await?;
        committed.learned.push((org, known.hash.clone()));
        Ok(())
    }

    async fn deliver(
        &self,
        groups: Vec<(Vec<usize>, Result<Committed, Error>)>,
        count: usize,
    ) -> Vec<Handled> {
        let mut handled: Vec<Handled> = (0..count).map(|_| Ok(())).collect();
        for (chosen, result) in groups {
            let failure = match result {
                Ok(committed) => {
                    for at in &committed.again {
                        set(&mut handled, *at, &again());
                    }
                    match self.publish(committed).await {
                        Ok(()) => continue,
                        Err(error) => away(&error),
                    }
                }
                Err(error) if is_away(&error) => away(&error),
                Err(error) => Failure::Retry {
                    after: AWAY,
                    reason: error.to_string(),
                },
            };
            for at in chosen {
                set(&mut handled, at, &failure);
            }
        }
        handled
    }

    async fn publish(&self, committed: Committed) -> Result<(), Error> {
        if !committed.publish.is_empty() {
            crash_point!(
                "orchestrator.before_publish",
                fail => return nexus_service_kit::crash::no_bus(),
                twice => drop(self.deps.bus.publish(committed.publish.clone()).await)
            );
            self.deps.bus.publish(committed.publish).await?;
            crash_point!(
                "orchestrator.published",
                fail => return nexus_service_kit::crash::no_bus()
            );
        }
        for (run, until) in committed.cancelled {
            crate::sweeper::project_cancellation(&self.deps, run, until).await;
        }
        // Lossy by design: whoever waits also gets the durable answer.
        let reports = committed.live.iter().map(|live| {
            self.deps
                .bus
                .live_publish(&live.topic, std::slice::from_ref(&live.entry))
        });
        for report in futures::future::join_all(reports).await {
            if let Err(error) = report {
                tracing::debug!(%error, "live report not sent");
            }
        }
        Ok(())
    }
}

fn collect(committed: &mut Committed, plan: Plan) {
    committed.live.extend(
        plan.publish
            .iter()
            .filter_map(|(_, envelope)| emit::live(envelope)),
    );
    let messages = plan
        .publish
        .iter()
        .map(|(channel, envelope)| outgoing(channel, envelope));
    committed.publish.extend(messages);
    committed.cancelled.extend(plan.cancelled);
}

/// What one organisation has in a batch.
#[derive(Default)]
struct Group<'a> {
    events: Vec<(usize, &'a Inbound)>,
    receipts: BTreeMap<&'a str, Vec<MessageId>>,
}

/// In order of organisation, so that two replicas never wait for each other crosswise.
fn by_organisation<'a>(events: &'a [Translated], chosen: &[usize]) -> BTreeMap<OrgId, Group<'a>> {
    let mut groups: BTreeMap<OrgId, Group<'a>> = BTreeMap::new();
    for at in chosen {
        match events.get(*at) {
            Some(Translated::Event(event)) => {
                groups
                    .entry(event.org)
                    .or_default()
                    .events
                    .push((*at, event));
            }
            Some(Translated::Receipt { org, ids, by }) => {
                let receipts = &mut groups.entry(*org).or_default().receipts;
                let of_one = receipts.entry(by.as_str()).or_default();
                of_one.extend(ids.iter().cloned());
            }
            None => {}
        }
    }
    groups
}

fn set(handled: &mut [Handled], at: usize, failure: &Failure) {
    if let Some(slot) = handled.get_mut(at) {
        *slot = Err(failure.clone());
    }
}

fn again() -> Failure {
    let reason = "the same message is being handled".to_owned();
    Failure::Wait {
        after: Duration::from_millis(50),
        reason,
    }
}

fn is_away(error: &Error) -> bool {
    match error {
        Error::Store(error) => error.is_transient(),
        Error::Bus(error) => error.is_transient(),
        Error::Contract(_)
        | Error::Row { .. }
        | Error::Checkpoint(_)
        | Error::Replay(_)
        | Error::Conflict => false,
    }
}
