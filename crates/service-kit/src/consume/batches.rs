//! Many messages together: one batch worked on, the next one growing meanwhile.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::decide::{Work, pause};
#[cfg(feature = "failpoints")]
use super::looping::told_to_fail;
use super::looping::{Limits, Loop, Received, run as run_loop};
use super::{BatchHandler, ConsumerSpec, Failure, Message, Outcome};
use crate::{Deps, crash_point};

pub(super) async fn run<H: BatchHandler>(deps: Deps, spec: ConsumerSpec, handler: Arc<H>) {
    let permits = spec.permits.max(1);
    let limits = Limits {
        held: permits.saturating_mul(2),
        read: permits,
    };
    let undertaker = Arc::clone(&handler);
    let on_dead = Arc::new(move |letter: &_| undertaker.on_dead(letter));
    let work = move |shared, received| work(shared, received, handler).boxed();
    run_loop(deps, spec, limits, on_dead, work).await;
}

async fn work<H: BatchHandler>(
    shared: Arc<Loop>,
    mut received: mpsc::UnboundedReceiver<Received>,
    handler: Arc<H>,
) {
    let most = shared.spec.permits.max(1);
    let mut arrived = Vec::with_capacity(most);
    while received.recv_many(&mut arrived, most).await > 0 {
        if shared.deps.shutdown.is_cancelled() {
            arrived
                .drain(..)
                .for_each(|next| shared.give_back_unseen(next));
            continue;
        }
        let triaged = arrived.drain(..).filter_map(|next| shared.triage(next));
        let (alone, together): (Vec<_>, Vec<_>) = triaged.partition(|(_, work)| work.is_suspect());
        for suspect in alone {
            batch(&shared, handler.as_ref(), vec![suspect]).await;
        }
        if !together.is_empty() {
            batch(&shared, handler.as_ref(), together).await;
        }
    }
}

async fn batch<H: BatchHandler>(shared: &Loop, handler: &H, batch: Vec<(Message, Work)>) {
    let (messages, work): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let handled = handle(shared, handler, messages);
    match shared
        .deps
        .tasks
        .abandoned()
        .run_until_cancelled(handled)
        .await
    {
        Some(outcomes) => {
            work.into_iter()
                .zip(outcomes)
                .for_each(|(work, outcome)| shared.decide(work, outcome));
        }
        None => work.into_iter().for_each(|work| shared.give_back(work)),
    }
}

async fn handle<H: BatchHandler>(
    shared: &Loop,
    handler: &H,
    messages: Vec<Message>,
) -> Vec<Outcome> {
    crash_point!(
        &shared.point("before_handle"),
        fail => return messages.iter().map(|_| told_to_fail()).collect()
    );
    crash_point!(
        &shared.point("handle"),
        twice => drop(handler.handle(messages.clone()).await)
    );
    let attempts: Vec<u32> = messages.iter().map(|message| message.attempts).collect();
    let started = Instant::now();
    let outcomes = AssertUnwindSafe(handler.handle(messages))
        .catch_unwind()
        .await;
    shared.meters.handled(started.elapsed());
    let failed = |tries: &u32, why: &str| Err(Failure::retry(pause(*tries), why));
    match outcomes {
        Ok(outcomes) if outcomes.len() == attempts.len() => outcomes,
        Ok(outcomes) => {
            let (got, wanted) = (outcomes.len(), attempts.len());
            tracing::error!(
                got,
                wanted,
                "a batch handler returned the wrong number of outcomes"
            );
            // Which outcome belongs to which message is not known: none may be acknowledged.
            attempts
                .iter()
                .map(|tries| failed(tries, "outcomes and messages differ"))
                .collect()
        }
        Err(_) => attempts
            .iter()
            .map(|tries| failed(tries, "the handler panicked"))
            .collect(),
    }
}
