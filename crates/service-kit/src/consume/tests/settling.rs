use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_bus::{Action, BusError};
use tokio_util::sync::CancellationToken;

use super::rig::{Rig, said, text};

fn full() -> BusError {
    BusError::Full {
        reason: "maxmemory".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn many_outcomes_are_settled_in_few_calls() {
    let rig = Rig::new();
    rig.each(256, 5, |message| async move {
        Ok(vec![text("out", &said(&message))])
    });
    rig.publish(&["x"; 256]).await;
    rig.bus
        .until("all are settled", |state| state.count("out") == 256)
        .await;
    let calls = rig.bus.state().settled.len();
    assert!(calls <= 8, "256 outcomes took {calls} calls");
}

#[tokio::test(start_paused = true)]
async fn a_full_bus_loses_nothing_and_repeats_no_work() {
    let rig = Rig::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    rig.bus.state().settling_fails = Some(full());
    rig.each(4, 5, move |message| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { Ok(vec![text("out", &said(&message))]) }
    });
    let ids = rig.publish(&["a", "b", "c"]).await;
    rig.bus
        .until("all were worked on", |_| runs.load(Ordering::SeqCst) == 3)
        .await;
    // Longer than a lease: the heartbeat keeps what cannot be settled.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(
        rig.bus.state().count("out"),
        0,
        "nothing was stored, so nothing acknowledged"
    );
    assert_eq!(rig.bus.state().held(), 3);

    rig.bus.state().settling_fails = None;
    rig.bus
        .until("all are settled", |state| state.count("out") == 3)
        .await;
    let state = rig.bus.state();
    assert!(ids.iter().all(|id| state.fate(*id) == [Action::Ack]));
    assert_eq!(runs.load(Ordering::SeqCst), 3, "each was worked on once");
}

#[tokio::test(start_paused = true)]
async fn what_is_new_does_not_wait_behind_what_failed() {
    let rig = Rig::new();
    rig.bus.state().settling_fails = Some(full());
    rig.each(8, 5, |message| async move {
        Ok(vec![text("out", &said(&message))])
    });
    rig.publish(&["old"]).await;
    // Long enough that the pause between tries has grown to seconds.
    tokio::time::sleep(Duration::from_secs(20)).await;
    rig.bus.state().settling_fails = None;
    let before = tokio::time::Instant::now();
    rig.publish(&["new"]).await;
    let new = |state: &crate::fake::State| {
        let stored = state.channels.get("out").into_iter().flatten();
        stored
            .into_iter()
            .any(|entry| entry.record.text("payload") == Some("new"))
    };
    rig.bus.until("the new one is settled", new).await;
    assert!(
        before.elapsed() < Duration::from_secs(1),
        "it took {:?}",
        before.elapsed()
    );
    rig.bus
        .until("the old one follows", |state| state.count("out") == 2)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_the_work_and_drops_its_outcome() {
    let rig = Rig::new();
    let (stopped, runs) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let (tell, count) = (stopped.clone(), Arc::clone(&runs));
    rig.each(4, 5, move |message| {
        let (tell, run) = (tell.clone(), count.fetch_add(1, Ordering::SeqCst));
        async move {
            if run == 0 {
                message.lost.cancelled().await;
                tell.cancel();
            }
            Ok(vec![text("out", &message.attempts.to_string())])
        }
    });
    let ids = rig.publish(&["a"]).await;
    rig.bus
        .until("it is worked on", |_| runs.load(Ordering::SeqCst) == 1)
        .await;
    rig.bus.steal_all();
    tokio::time::timeout(Duration::from_secs(5), stopped.cancelled())
        .await
        .unwrap();
    rig.bus
        .until("its next delivery is done", |state| state.count("out") == 1)
        .await;
    let state = rig.bus.state();
    assert_eq!(state.channels["out"][0].record.text("payload"), Some("2"));
    assert_eq!(
        state.fate(ids[0]),
        [Action::Ack],
        "the lost one was never settled"
    );
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_settled_is_let_go() {
    let rig = Rig::new();
    rig.bus.state().settling_fails = Some(BusError::Protocol("WRONGTYPE".to_owned()));
    rig.each(1, 5, |_| async { Ok(vec![text("out", "x")]) });
    rig.publish(&["a", "b"]).await;
    let settled_both = |state: &crate::fake::State| state.waiting() == 0;
    rig.bus.until("one permit served both", settled_both).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(rig.bus.state().extended, 0, "their leases are left to end");
}
