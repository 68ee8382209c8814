use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_bus::{Action, BusError};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::rig::{Rig, said, text};
use crate::consume::Failure;

#[tokio::test(start_paused = true)]
async fn what_a_handler_returns_is_stored_and_the_message_acknowledged() {
    let rig = Rig::new();
    rig.each(4, 5, |message| async move {
        Ok(vec![text("out", &said(&message))])
    });
    let ids = rig.publish(&["a", "b"]).await;
    rig.bus
        .until("both are settled", |state| state.count("out") == 2)
        .await;
    let state = rig.bus.state();
    assert!(ids.iter().all(|id| state.fate(*id) == [Action::Ack]));
    assert_eq!(state.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_knows_where_it_stands() {
    let rig = Rig::new();
    let seen = Arc::new(Mutex::new(None));
    let sink = Arc::clone(&seen);
    rig.each(4, 5, move |message| {
        *sink.lock() = Some(message);
        async { Ok(Vec::new()) }
    });
    let ids = rig.publish(&["a"]).await;
    rig.bus
        .until("it is handled", |_| seen.lock().is_some())
        .await;
    let message = seen.lock().take().unwrap();
    assert_eq!((message.entry_id, message.attempts), (ids[0], 1));
    assert_eq!(message.channel, "work");
    assert_eq!(message.envelope.event_type, "test.said");
    assert_eq!(
        message.envelope.timestamp.as_millis(),
        1000,
        "when the bus stored it"
    );
    assert_eq!(
        message.envelope.id.as_str().len(),
        32,
        "the id the bus gave it"
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_never_counts_and_retrying_does() {
    let rig = Rig::new();
    let tries = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&tries);
    rig.each(4, 5, move |message| {
        let mut seen = seen.lock();
        seen.push(message.attempts);
        let (after, count) = (Duration::from_secs(1), seen.len());
        async move {
            match count {
                ..=20 => Err(Failure::wait(after, "a limit")),
                21 | 22 => Err(Failure::retry(after, "an error")),
                _ => Ok(Vec::new()),
            }
        }
    });
    let ids = rig.publish(&["a"]).await;
    let done = |state: &crate::fake::State| state.fate(ids[0]).last() == Some(&Action::Ack);
    rig.bus.until("it is acknowledged", done).await;
    let tries = tries.lock();
    assert!(
        tries[..21].iter().all(|attempts| *attempts == 1),
        "{tries:?}"
    );
    assert_eq!(tries[21..], [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_worked_on_than_there_are_permits() {
    let rig = Rig::new();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
    rig.each(3, 5, move |_| {
        let running = Arc::clone(&running);
        peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![text("out", "x")])
        }
    });
    rig.publish(&["x"; 20]).await;
    rig.bus
        .until("all are done", |state| state.count("out") == 20)
        .await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(now.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_retry() {
    let rig = Rig::new();
    rig.each(4, 5, |message| async move {
        assert!(message.attempts > 1, "the first try panics");
        Ok(vec![text("out", "done")])
    });
    let ids = rig.publish(&["a"]).await;
    rig.bus
        .until("it is done", |state| state.count("out") == 1)
        .await;
    let pause = Action::Retry {
        after: Duration::from_secs(1),
    };
    assert_eq!(rig.bus.state().fate(ids[0]), [pause, Action::Ack]);
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_away_shows_in_the_health_and_is_waited_for() {
    let rig = Rig::new();
    let away = BusError::Unreachable {
        address: "fake".into(),
        reason: "unplugged".into(),
    };
    rig.bus.state().down = Some(away.clone());
    rig.each(4, 5, |_| async { Ok(vec![text("out", "x")]) });
    let health = rig.deps.health.clone();
    rig.bus
        .until("it is not ready", |_| !health.is_ready())
        .await;
    rig.bus.state().down = None;
    rig.bus.until("it has joined", |_| health.is_ready()).await;

    rig.publish(&["a"]).await;
    rig.bus
        .until("it works", |state| state.count("out") == 1)
        .await;
    rig.bus.state().down = Some(away);
    rig.bus.poke();
    rig.bus.until("reading fails", |_| !health.is_ready()).await;
    let component = health
        .components()
        .into_iter()
        .find(|component| !component.ok)
        .unwrap();
    assert_eq!(component.name, "consume:tester:work");
    assert!(component.detail.unwrap().contains("unplugged"));

    rig.bus.state().down = None;
    rig.publish(&["b"]).await;
    rig.bus
        .until("it works again", |state| state.count("out") == 2)
        .await;
    assert!(health.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_fatal_failure_ends_the_node_and_leaves_the_message() {
    let rig = Rig::new();
    rig.each(4, 5, |_| async {
        Err(Failure::fatal("the licence has run out"))
    });
    rig.publish(&["a"]).await;
    rig.deps.shutdown.cancelled().await;
    rig.deps.stop(Duration::from_secs(1)).await;
    assert_eq!(
        rig.deps.tasks.failure().as_deref(),
        Some("the licence has run out")
    );
    let state = rig.bus.state();
    assert!(state.settled.is_empty(), "nothing was settled");
    assert_eq!(state.held(), 1, "its lease ends on its own");
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_silent_is_kept_by_its_heartbeat() {
    let rig = Rig::new();
    rig.each(4, 5, |_| async {
        tokio::time::sleep(Duration::from_secs(40)).await;
        Ok(vec![text("out", "late")])
    });
    let began = Instant::now();
    let ids = rig.publish(&["a"]).await;
    rig.bus
        .until("it is done", |state| state.count("out") == 1)
        .await;
    assert!(began.elapsed() >= Duration::from_secs(40));
    let state = rig.bus.state();
    assert!(
        (12..=14).contains(&state.extended),
        "every third of 9 s: {}",
        state.extended
    );
    assert_eq!(state.fate(ids[0]), [Action::Ack]);
}
