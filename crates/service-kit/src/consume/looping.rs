//! What one consume loop is made of: join, read, work, settle, and an orderly end.

use std::sync::Arc;

use futures::future::BoxFuture;
use nexus_bus::{Delivery, Group, GroupSpec, Outgoing};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::leases::{Leases, heartbeat};
use super::measure::{Meters, watch_backlog};
use super::read::Reading;
use super::settle::{Decided, Settling};
use super::{ConsumerSpec, DeadLetter};
use crate::outage::Outage;
use crate::{Deps, HealthHandle};

/// What parks a message asks the handler: what to tell whoever waits for it.
pub(super) type OnDead = Arc<dyn Fn(&DeadLetter) -> Vec<Outgoing> + Send + Sync>;

/// How many replicas of a service the limit of unsettled deliveries is made for. Only NATS asks.
const REPLICAS: usize = 32;

/// What the parts of one loop share.
pub(super) struct Loop {
    pub(super) deps: Deps,
    pub(super) spec: ConsumerSpec,
    pub(super) meters: Arc<Meters>,
    pub(super) on_dead: OnDead,
    pub(super) decided: mpsc::UnboundedSender<Decided>,
}

#[cfg(feature = "failpoints")]
impl Loop {
    /// A point of this loop, by its name for tests.
    pub(super) fn point(&self, place: &str) -> String {
        point(&format!("{}:{}", self.spec.group, self.spec.channel), place)
    }
}

/// A point of the loop of a group over a channel, by its name for tests.
#[cfg(feature = "failpoints")]
pub(super) fn point(consumer: &str, place: &str) -> String {
    format!("consume:{consumer}:{place}")
}

/// The outcome a test wants.
#[cfg(feature = "failpoints")]
pub(super) fn told_to_fail() -> super::Outcome {
    let pause = std::time::Duration::from_millis(100);
    Err(super::Failure::retry(pause, "a test wants this to fail"))
}

/// A delivery that has just come in.
pub(super) struct Received {
    pub(super) delivery: Delivery,
    pub(super) lost: CancellationToken,
    pub(super) permit: OwnedSemaphorePermit,
}

/// How much may be held: in all, and in one read.
pub(super) struct Limits {
    pub(super) held: usize,
    pub(super) read: usize,
}

/// Runs a loop to its end. `work` gets what comes in until the node stops, and returns when
/// everything it took is decided.
pub(super) async fn run<W>(deps: Deps, spec: ConsumerSpec, limits: Limits, on_dead: OnDead, work: W)
where
    W: FnOnce(Arc<Loop>, mpsc::UnboundedReceiver<Received>) -> BoxFuture<'static, ()>,
{
    let health = deps
        .health
        .component(format!("consume:{}:{}", spec.group, spec.channel));
    health.failing("joining the consumer group");
    let Some(group) = join(&deps, &spec, limits.held, health.clone()).await else {
        return;
    };

    let leases = Leases::default();
    let meters = Arc::new(Meters::new(&spec));
    let (decided, decisions) = mpsc::unbounded_channel();
    let (incoming, received) = mpsc::unbounded_channel();

    // Dropped, and so ended, with this function.
    let mut helpers = JoinSet::new();
    let extending = Outage::new(&deps.clock, format!("extending leases of {}", spec.channel));
    let settler = Arc::clone(&group.settler);
    helpers.spawn(heartbeat(leases.clone(), settler, spec.lease, extending));
    helpers.spawn(watch_backlog(deps.clone(), spec.clone()));

    let reading = Reading {
        deps: deps.clone(),
        leases: leases.clone(),
        free: Arc::new(Semaphore::new(limits.held)),
        most: limits.read,
        outage: Outage::new(&deps.clock, format!("reading {}", spec.channel)).shown_in(health),
        incoming,
    };
    helpers.spawn(reading.run(group.reader));

    let outage = Outage::new(
        &deps.clock,
        format!("settling messages of {}", spec.channel),
    );
    let settling = Settling::new(&deps, leases, Arc::clone(&meters), group.settler, outage);
    let mut last = JoinSet::new();
    last.spawn(settling.of(&spec).run(decisions));

    work(
        Arc::new(Loop {
            deps,
            spec,
            meters,
            on_dead,
            decided,
        }),
        received,
    )
    .await;
    // The loop's own sender is gone with `work`: settling ends when the queue is empty.
    while last.join_next().await.is_some() {}
}

async fn join(
    deps: &Deps,
    spec: &ConsumerSpec,
    held: usize,
    health: HealthHandle,
) -> Option<Group> {
    let what = format!("joining group {} of {}", spec.group, spec.channel);
    let mut outage = Outage::new(&deps.clock, what).shown_in(health);
    loop {
        let wanted = GroupSpec {
            channel: spec.channel.clone(),
            group: spec.group.to_owned(),
            consumer: deps.worker.clone(),
            lease: spec.lease,
            max_in_flight: held.saturating_mul(REPLICAS),
        };
        let delay = match deps
            .shutdown
            .run_until_cancelled(deps.bus.group(wanted))
            .await?
        {
            Ok(group) => {
                outage.worked();
                return Some(group);
            }
            Err(error) => outage.failed(&error),
        };
        deps.shutdown
            .run_until_cancelled(tokio::time::sleep(delay))
            .await?;
    }
}
