//! One task per message.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, mpsc};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::decide::{Work, pause};
#[cfg(feature = "failpoints")]
use super::looping::told_to_fail;
use super::looping::{Limits, Loop, Received, run as run_loop};
use super::{ConsumerSpec, Failure, Handler, Message, Outcome};
use crate::{Deps, crash_point};

/// Held shared by every message worked on, and alone by a suspect.
type Gate = Arc<RwLock<()>>;

enum Entered {
    Beside { _others: OwnedRwLockReadGuard<()> },
    Alone { _all: OwnedRwLockWriteGuard<()> },
}

pub(super) async fn run<H: Handler>(deps: Deps, spec: ConsumerSpec, handler: Arc<H>) {
    let limits = Limits {
        held: spec.permits.max(1),
        read: spec.permits.max(1),
    };
    let undertaker = Arc::clone(&handler);
    let on_dead = Arc::new(move |letter: &_| undertaker.on_dead(letter));
    let work = move |shared, received| work(shared, received, handler).boxed();
    run_loop(deps, spec, limits, on_dead, work).await;
}

async fn work<H: Handler>(
    shared: Arc<Loop>,
    mut received: mpsc::UnboundedReceiver<Received>,
    handler: Arc<H>,
) {
    let gate = Gate::default();
    let running = TaskTracker::new();
    while let Some(next) = received.recv().await {
        if shared.deps.shutdown.is_cancelled() {
            shared.give_back_unseen(next);
        } else if let Some((message, work)) = shared.triage(next) {
            let task = one(Arc::clone(&shared), Arc::clone(&gate), Arc::clone(&handler));
            running.spawn(task(message, work));
        }
    }
    running.close();
    running.wait().await;
}

fn one<H: Handler>(
    shared: Arc<Loop>,
    gate: Gate,
    handler: Arc<H>,
) -> impl FnOnce(Message, Work) -> futures::future::BoxFuture<'static, ()> {
    move |message, work| {
        async move {
            let Some(_entered) = enter(&shared, &gate, &work).await else {
                return shared.give_back(work);
            };
            let handled = handle(&shared, handler.as_ref(), message);
            match shared
                .deps
                .tasks
                .abandoned()
                .run_until_cancelled(handled)
                .await
            {
                Some(outcome) => shared.decide(work, outcome),
                None => shared.give_back(work),
            }
        }
        .boxed()
    }
}

/// Waits for its turn; `None` when the node stops first.
async fn enter(shared: &Loop, gate: &Gate, work: &Work) -> Option<Entered> {
    if work.is_suspect() {
        let all = Arc::clone(gate).write_owned();
        let guard = shared.deps.shutdown.run_until_cancelled(all).await?;
        return Some(Entered::Alone { _all: guard });
    }
    let guard = match Arc::clone(gate).try_read_owned() {
        Ok(guard) => guard,
        Err(_) => {
            let others = Arc::clone(gate).read_owned();
            shared.deps.shutdown.run_until_cancelled(others).await?
        }
    };
    Some(Entered::Beside { _others: guard })
}

async fn handle<H: Handler>(shared: &Loop, handler: &H, message: Message) -> Outcome {
    crash_point!(&shared.point("before_handle"), fail => return told_to_fail());
    crash_point!(
        &shared.point("handle"),
        twice => drop(handler.handle(message.clone()).await)
    );
    let (attempts, started) = (message.attempts, Instant::now());
    let outcome = AssertUnwindSafe(handler.handle(message))
        .catch_unwind()
        .await;
    shared.meters.handled(started.elapsed());
    outcome.unwrap_or_else(|_| Err(Failure::retry(pause(attempts), "the handler panicked")))
}
