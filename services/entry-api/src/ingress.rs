//! The ingress outbox: stores before it promises, and publishes until it is answered.
//!
//! Three loops: one commits what concurrent requests bring, one publishes what is due, one notices
//! that the bus lost its data.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::{Bus, BusError, Outgoing};
use nexus_contracts::{Envelope, channels};
use nexus_service_kit::{Clock, Deps, HealthHandle, crash_point, outgoing};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::answer::ADAPTER;
use crate::messages::Messages;
use crate::metrics::Metrics;
use crate::outbox::{Due, Key, Outbox};
use crate::sequence::Sequence;
use crate::submission::Submission;
use crate::{Config, Error};

/// How long the publisher rests when the bus refused.
const REST: Duration = Duration::from_millis(500);

/// Most messages of one publication.
const PUBLISH_LIMIT: usize = 256;

type Load = Arc<Envelope>;

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// Too many wait already.
    Crowded(usize),
    /// The store refused; in its words.
    Store(String),
    /// The process is stopping.
    Stopping,
}

struct Intake {
    submission: Submission,
    reply: oneshot::Sender<Result<Admission, Unavailable>>,
}

/// The handle requests hold.
#[derive(Clone)]
pub struct Ingress {
    intake: mpsc::Sender<Intake>,
    shared: Arc<Shared>,
}

struct Shared {
    messages: Messages,
    outbox: Mutex<Outbox<Load>>,
    sequence: Sequence,
    wake: Notify,
    bus: Bus,
    clock: Clock,
    shutdown: CancellationToken,
    metrics: Arc<Metrics>,
    max_unanswered: usize,
    max_batch: usize,
    poll: Duration,
}

impl Ingress {
    /// Takes up what was unanswered when the process ended, and starts the loops.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(
        deps: &Deps,
        config: &Config,
        messages: Messages,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let mut outbox = Outbox::new(config.backoff());
        for found in messages.unanswered().await? {
            let load = Arc::new(found.envelope());
            outbox.push(found.key(), found.lanes(), load, deps.clock.now());
        }
        let (intake, queue) = mpsc::channel(config.max_batch.max(1) * 2);
        let shared = Arc::new(Shared {
            messages,
            outbox: Mutex::new(outbox),
            sequence: Sequence::default(),
            wake: Notify::new(),
            bus: deps.bus.clone(),
            clock: deps.clock.clone(),
            shutdown: deps.shutdown.clone(),
            metrics,
            max_unanswered: config.max_unanswered,
            max_batch: config.max_batch.max(1),
            poll: config.incarnation_poll,
        });
        let health = deps.health.component("entry-api store");
        deps.tasks.spawn(
            "entry-api.commit",
            Arc::clone(&shared).commit_all(queue, health),
        );
        let health = deps.health.component("entry-api publisher");
        deps.tasks
            .spawn("entry-api.publish", Arc::clone(&shared).publish_all(health));
        deps.tasks.spawn(
            "entry-api.incarnation",
            Arc::clone(&shared).watch_incarnation(),
        );
        Ok(Self { intake, shared })
    }

    /// Stores a message; on `Ok(Stored)` it will be published until it is answered.
    ///
    /// # Errors
    /// [`Unavailable`]; nothing was taken then.
    pub async fn submit(&self, submission: Submission) -> Result<Admission, Unavailable> {
        let waiting = self.shared.outbox.lock().len();
        if waiting >= self.shared.max_unanswered {
            return Err(Unavailable::Crowded(waiting));
        }
        let (reply, answer) = oneshot::channel();
        let sent = self.intake.send(Intake { submission, reply }).await;
        sent.map_err(|_closed| Unavailable::Stopping)?;
        answer.await.map_err(|_dropped| Unavailable::Stopping)?
    }

    /// What was answered need not be published any more; what waited behind it may go.
    pub fn settle(&self, answered: impl IntoIterator<Item = Key>) {
        let now = self.shared.clock.now();
        let mut outbox = self.shared.outbox.lock();
        for key in answered {
            outbox.settle(&key, now);
        }
        let more = outbox.next_due().is_some_and(|due| due <= now);
        self.shared.metrics.unanswered.set(count(outbox.len()));
        drop(outbox);
        if more {
            self.shared.wake.notify_one();
        }
    }
}

impl Shared {
    async fn commit_all(self: Arc<Self>, mut queue: mpsc::Receiver<Intake>, health: HealthHandle) {
        let mut batch = Vec::with_capacity(self.max_batch);
        loop {
            let received = tokio::select! {
                biased;
                received = queue.recv_many(&mut batch, self.max_batch) => received,
                () = self.shutdown.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
            };
            if received == 0 {
                return;
            }
            self.commit(&mut batch, &health).await;
        }
    }

    async fn commit(&self, batch: &mut Vec<Intake>, health: &HealthHandle) {
        let (submissions, replies): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|intake| (intake.submission, intake.reply))
            .unzip();
        let now = self.clock.now();
        let first = self.sequence.next(now, submissions.len());
        let outcome = self.messages.admit(&submissions, first).await;
        self.metrics.commit_size.record(count(submissions.len()));
        match outcome {
            Ok(admissions) => {
                health.ok();
                let left = self.left_behind(&submissions, &admissions).await;
                self.enqueue(&submissions, &admissions, &left);
                for (reply, admission) in replies.into_iter().zip(admissions) {
                    // A client that went away gets its answer when it asks again.
                    let _ = reply.send(Ok(admission));
                }
            }
            Err(error) => {
                tracing::error!(%error, "messages were refused: the store cannot be written");
                health.failing(format!("{error}; free disk space or mend the store"));
                for reply in replies {
                    let _ = reply.send(Err(Unavailable::Store(error.to_string())));
                }
            }
        }
    }

    /// Of those taken before, the unanswered ones that nobody publishes here: left by a commit that
    /// was never heard of again, or by a replica that is gone.
    async fn left_behind(
        &self,
        submissions: &[Submission],
        admissions: &[Admission],
    ) -> BTreeSet<Key> {
        let repeated = submissions.iter().zip(admissions);
        let repeated = repeated.filter(|(_, admission)| **admission == Admission::Repeated);
        let keys: Vec<Key> = {
            let outbox = self.outbox.lock();
            let keys = repeated.map(|(submission, _)| submission.key());
            keys.filter(|key| !outbox.contains(key)).collect()
        };
        if keys.is_empty() {
            return BTreeSet::new();
        }
        // Unreadable: repeating is harmless, staying silent is not.
        let waiting = self.messages.still_unanswered(&keys).await;
        waiting.unwrap_or_else(|_unreadable| keys.into_iter().collect())
    }

    fn enqueue(
        &self,
        submissions: &[Submission],
        admissions: &[Admission],
        left_behind: &BTreeSet<Key>,
    ) {
        let now = self.clock.now();
        let mut taken = 0;
        let mut outbox = self.outbox.lock();
        for (submission, admission) in submissions.iter().zip(admissions) {
            let left = left_behind.contains(&submission.key());
            if left || *admission == Admission::Stored {
                let load = Arc::new(submission.envelope());
                outbox.push(submission.key(), submission.lanes(), load, now);
                taken += 1;
            }
        }
        self.metrics.unanswered.set(count(outbox.len()));
        drop(outbox);
        self.metrics.taken.increment(taken);
        self.wake.notify_one();
    }

    async fn publish_all(self: Arc<Self>, health: HealthHandle) {
        while !self.shutdown.is_cancelled() {
            let (due, next) = {
                let mut outbox = self.outbox.lock();
                (
                    outbox.take_due(self.clock.now(), PUBLISH_LIMIT),
                    outbox.next_due(),
                )
            };
            let pause = if due.is_empty() {
                next.map_or(self.poll, |at| {
                    let wait = at.as_millis().saturating_sub(self.clock.now().as_millis());
                    Duration::from_millis(u64::try_from(wait).unwrap_or(0))
                })
            } else if self.publish(due, &health).await {
                continue;
            } else {
                REST
            };
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.wake.notified(), if pause != REST => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Whether the bus took them.
    async fn publish(&self, due: Vec<Due<Load>>, health: &HealthHandle) -> bool {
        let due = self.without_answered(due).await;
        let channel = channels::incoming(ADAPTER);
        let batch: Vec<Outgoing> = due
            .iter()
            .map(|due| outgoing(channel.as_str(), &due.load))
            .collect();
        if batch.is_empty() {
            return true;
        }
        let repeated = due.iter().filter(|due| due.published > 0).count();
        match self.send(batch).await {
            Ok(()) => {
                health.ok();
                self.metrics.published.increment(due.len() as u64);
                self.metrics.republished.increment(repeated as u64);
                true
            }
            Err(error) => {
                health.failing(format!(
                    "{error}; what was accepted is kept and published later"
                ));
                tracing::warn!(%error, messages = due.len(), "publishing failed; trying again");
                self.outbox.lock().put_back(&due, self.clock.now());
                false
            }
        }
    }

    async fn send(&self, batch: Vec<Outgoing>) -> Result<(), BusError> {
        crash_point!(
            "entry-api.before_publish",
            fail => return nexus_service_kit::crash::no_bus(),
            twice => drop(self.bus.publish(batch.clone()).await)
        );
        self.bus.publish(batch).await?;
        crash_point!("entry-api.published", fail => return nexus_service_kit::crash::no_bus());
        Ok(())
    }

    /// Another replica may have taken the answer: only the store knows, so it is asked before
    /// anything is repeated.
    async fn without_answered(&self, mut due: Vec<Due<Load>>) -> Vec<Due<Load>> {
        let repeated: Vec<Key> = due
            .iter()
            .filter(|due| due.published > 0)
            .map(|due| due.key)
            .collect();
        if repeated.is_empty() {
            return due;
        }
        // Unreadable: repeating is harmless, staying silent is not.
        let Ok(waiting) = self.messages.still_unanswered(&repeated).await else {
            return due;
        };
        let now = self.clock.now();
        let mut outbox = self.outbox.lock();
        due.retain(|due| {
            let keep = due.published == 0 || waiting.contains(&due.key);
            if !keep {
                outbox.settle(&due.key, now);
            }
            keep
        });
        due
    }

    async fn watch_incarnation(self: Arc<Self>) {
        let channel = channels::incoming(ADAPTER);
        let mut known: Option<String> = None;
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(self.poll) => {}
            }
            // An unreachable bus shows in the publisher's health.
            let Ok(now) = self.bus.incarnation(&channel).await else {
                continue;
            };
            if known.as_ref().is_some_and(|before| *before != now) {
                tracing::warn!(
                    channel,
                    "the bus lost its data; publishing all unanswered again"
                );
                self.outbox.lock().all_due(self.clock.now());
                self.wake.notify_one();
            }
            known = Some(now);
        }
    }
}

/// Counts are far below 2^52.
const fn count(number: usize) -> f64 {
    number as f64
}
