//! The one place where events of all channels meet: many share a commit, then their messages are
//! published, then they are acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::Outgoing;
use nexus_contracts::{MessageId, OrgId};
use nexus_service_kit::{Deps, Failure, TableView, outgoing};
use nexus_store::{SharedTx, Store};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::config::Config;
use crate::core::{Ctx, Limits};
use crate::db::load::{load, repeated};
use crate::db::write::{self, Timing};
use crate::error::Error;
use crate::plan::{self, Plan};
use crate::translate::{Inbound, Translated};
use crate::{emit, metrics};

/// How often a batch is loaded again when another replica changed one of its conversations.
const CONFLICT_TRIES: u32 = 10;

/// Publications of earlier commits that may still be under way while the next one is written.
const PUBLISHING: usize = 4;

/// How long an event waits when the database or the bus is away.
const AWAY: Duration = Duration::from_secs(1);

/// What became of one event.
pub type Handled = Result<(), Failure>;

/// How many events each job of a batch has, and where to say what became of them.
type Replies = Vec<(usize, oneshot::Sender<Vec<Handled>>)>;

/// Events that arrived together, and where to say what became of them.
struct Job {
    events: Vec<Translated>,
    reply: oneshot::Sender<Vec<Handled>>,
}

/// Hands events to the processor. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Job>,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::mutant::Mutant>,
    #[cfg(feature = "mutants")]
    pub(crate) tasks: nexus_service_kit::Tasks,
}

impl Intake {
    /// Handles events; one result each, in the same order. `Ok` means: committed, and everything
    /// it led to is stored by the bus.
    pub async fn handle(&self, events: Vec<Translated>) -> Vec<Handled> {
        #[cfg(feature = "mutants")]
        if self.mutant == Some(crate::mutant::Mutant::AckBeforeCommit) {
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

fn away(reason: &impl ToString) -> Failure {
    Failure::Wait {
        after: AWAY,
        reason: reason.to_string(),
    }
}

/// Commits and publishes.
pub struct Processor {
    deps: Deps,
    store: Store,
    config: Arc<Config>,
    limits: Limits,
    tools: TableView<nexus_contracts::chat::ToolSpec>,
}

/// What a commit leaves to do.
#[derive(Default)]
struct Committed {
    publish: Vec<Outgoing>,
    live: Vec<emit::Live>,
    cancelled: Vec<(nexus_contracts::RunId, nexus_contracts::Timestamp)>,
    again: Vec<usize>,
}

impl Processor {
    /// Starts the processor as a task of the node.
    pub fn start(
        deps: &Deps,
        store: Store,
        config: Arc<Config>,
        tools: TableView<nexus_contracts::chat::ToolSpec>,
    ) -> Intake {
        let (queue, jobs) = mpsc::channel(1024);
        let limits = config.limits();
        #[cfg(feature = "mutants")]
        let mutant = config.mutant;
        let processor = Arc::new(Self {
            deps: deps.clone(),
            store,
            config,
            limits,
            tools,
        });
        deps.tasks
            .spawn("orchestrator.processor", processor.run(jobs));
        Intake {
            queue,
            #[cfg(feature = "mutants")]
            mutant,
            #[cfg(feature = "mutants")]
            tasks: deps.tasks.clone(),
        }
    }

    async fn run(self: Arc<Self>, mut jobs: mpsc::Receiver<Job>) {
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
        let tools = self.tools.all();
        let now = self.deps.clock.now();
        let ctx = Ctx {
            now,
            limits: &self.limits,
            tools: &tools,
            system_prompt: &self.config.system_prompt,
        };
        let resend_after = self.config.resend_after.as_millis();
        let resend_after_ms = i64::try_from(resend_after).unwrap_or(i64::MAX);
        let timing = Timing {
            now,
            resend_after_ms,
        };
        let tx = self.store.begin_shared().await?;
        let mut committed = Committed::default();
        for (org, group) in by_organisation(events, chosen) {
            let plan = organisation(&tx, (org, &group), &ctx, &timing).await?;
            committed.again.extend(plan.1.iter().copied());
            collect(&mut committed, plan.0, plan.2);
        }
        tx.commit().await?;
        Ok(committed)
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
            self.deps.bus.publish(committed.publish).await?;
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

/// The events of one organisation: loaded, planned and written. Returns the plan, which of the
/// events must be delivered again, and messages of runs whose events were repeated.
async fn organisation(
    tx: &SharedTx,
    (org, group): (OrgId, &Group<'_>),
    ctx: &Ctx<'_>,
    timing: &Timing,
) -> Result<(Plan, Vec<usize>, Vec<Outgoing>), Error> {
    let tenant = tx.tenant(org);
    write::settle(&tenant, &group.receipts).await?;
    if group.events.is_empty() {
        return Ok((Plan::default(), Vec::new(), Vec::new()));
    }
    let batch: Vec<&Inbound> = group.events.iter().map(|(_, event)| *event).collect();
    let mut loaded = load(&tenant, &batch).await?;
    let plan = plan::plan(&batch, &mut loaded, ctx)?;
    let again = plan
        .again
        .iter()
        .filter_map(|at| group.events.get(*at).map(|(at, _)| *at));
    let again = again.collect();
    let repeats = if plan.repeat.is_empty() {
        Vec::new()
    } else {
        repeated(&tenant, &plan.repeat).await?
    };
    write::write(&tenant, &plan, &batch, timing).await?;
    Ok((plan, again, repeats))
}

fn collect(committed: &mut Committed, plan: Plan, repeats: Vec<Outgoing>) {
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
    committed.publish.extend(repeats);
    committed.cancelled.extend(plan.cancelled);
}

/// What one organisation has in a batch.
#[derive(Default)]
struct Group<'a> {
    events: Vec<(usize, &'a Inbound)>,
    receipts: Vec<MessageId>,
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
            Some(Translated::Receipt { org, ids }) => {
                groups
                    .entry(*org)
                    .or_default()
                    .receipts
                    .extend(ids.iter().cloned());
            }
            None => {}
        }
    }
    groups
}

fn split(batch: Vec<Job>) -> (Vec<Translated>, Replies) {
    let mut events = Vec::new();
    let mut replies = Vec::with_capacity(batch.len());
    for job in batch {
        replies.push((job.events.len(), job.reply));
        events.extend(job.events);
    }
    (events, replies)
}

fn answer(replies: Replies, handled: Vec<Handled>) {
    let mut handled = handled.into_iter();
    for (count, reply) in replies {
        // A loop that is gone has given its deliveries back; they come again.
        let _gone = reply.send(handled.by_ref().take(count).collect());
    }
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
        Error::Contract(_) | Error::Row { .. } | Error::Conflict => false,
    }
}
