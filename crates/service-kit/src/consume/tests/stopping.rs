use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_bus::{Action, BusError};
use tokio::time::Instant;

use super::rig::{Rig, text};

const GRACE: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_may_finish() {
    let rig = Rig::new();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    rig.each(2, 5, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(vec![text("out", "x")])
        }
    });
    let ids = rig.publish(&["a", "b", "c"]).await;
    rig.bus
        .until("two are worked on", |_| begun.load(Ordering::SeqCst) == 2)
        .await;
    rig.deps.stop(GRACE).await;
    let state = rig.bus.state();
    assert!(ids[..2].iter().all(|id| state.fate(*id) == [Action::Ack]));
    assert_eq!(state.count("out"), 2);
    assert_eq!(
        state.waiting(),
        3,
        "the third and both answers wait for a reader"
    );
    assert_eq!(state.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_is_given_back_uncounted() {
    let rig = Rig::new();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    rig.each(2, 5, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    });
    let ids = rig.publish(&["a", "b"]).await;
    rig.bus
        .until("both are worked on", |_| begun.load(Ordering::SeqCst) == 2)
        .await;
    let began = Instant::now();
    rig.deps.stop(GRACE).await;
    assert!(
        began.elapsed() < GRACE + Duration::from_secs(1),
        "took {:?}",
        began.elapsed()
    );
    let back = Action::Wait {
        after: Duration::ZERO,
    };
    let state = rig.bus.state();
    assert!(ids.iter().all(|id| state.fate(*id) == [back.clone()]));
}

#[tokio::test(start_paused = true)]
async fn what_was_only_buffered_is_given_back_at_once() {
    let rig = Rig::new();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    rig.batches(2, 5, move |batch| {
        count.fetch_add(batch.len(), Ordering::SeqCst);
        async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            batch.iter().map(|_| Ok(Vec::new())).collect()
        }
    });
    let ids = rig.publish(&["a", "b", "c", "d"]).await;
    rig.bus
        .until("one batch works, one waits", |state| state.held() == 4)
        .await;
    let first = begun.load(Ordering::SeqCst);
    rig.deps.stop(GRACE).await;
    assert_eq!(
        begun.load(Ordering::SeqCst),
        first,
        "no batch was begun after the signal"
    );
    let state = rig.bus.state();
    let acked = ids
        .iter()
        .filter(|id| state.fate(**id) == [Action::Ack])
        .count();
    let back = Action::Wait {
        after: Duration::ZERO,
    };
    let given_back = ids
        .iter()
        .filter(|id| state.fate(**id) == [back.clone()])
        .count();
    assert_eq!((acked, given_back), (first, 4 - first));
}

#[tokio::test(start_paused = true)]
async fn a_dead_bus_does_not_hold_the_end_up() {
    let rig = Rig::new();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    rig.each(2, 5, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(vec![text("out", "x")]) }
    });
    let full = BusError::Full {
        reason: "maxmemory".to_owned(),
    };
    rig.bus.state().settling_fails = Some(full);
    let ids = rig.publish(&["a"]).await;
    rig.bus
        .until("it was worked on", |_| begun.load(Ordering::SeqCst) == 1)
        .await;
    let began = Instant::now();
    rig.deps.stop(GRACE).await;
    assert!(
        began.elapsed() <= GRACE + Duration::from_secs(1),
        "took {:?}",
        began.elapsed()
    );
    let state = rig.bus.state();
    assert!(state.fate(ids[0]).is_empty(), "never acknowledged");
    assert_eq!(
        state.held(),
        1,
        "its lease ends on its own, and it comes again"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_loop_stops_within_one_read() {
    let rig = Rig::new();
    rig.each(2, 5, |_| async { Ok(Vec::new()) });
    let health = rig.deps.health.clone();
    rig.bus.until("it has joined", |_| health.is_ready()).await;
    let began = Instant::now();
    rig.deps.stop(GRACE).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "took {:?}",
        began.elapsed()
    );
}
