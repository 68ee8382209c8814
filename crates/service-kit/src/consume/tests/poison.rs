use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nexus_bus::blob::PAYLOAD_REF;
use nexus_bus::{Action, Record};
use parking_lot::Mutex;

use super::rig::{CHANNEL, Rig, record, said, text};
use crate::consume::Failure;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_suspect_runs_once_alone_and_is_parked_when_it_fails_again() {
    let rig = Rig::new();
    let (running, beside) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let seen = Arc::clone(&beside);
    rig.each(4, 2, move |message| {
        let (running, seen) = (Arc::clone(&running), Arc::clone(&seen));
        async move {
            let others = running.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(SECOND).await;
            let others = others + running.fetch_sub(1, Ordering::SeqCst) - 1;
            match said(&message).as_str() {
                "bad" => {
                    seen.lock().push((message.attempts, others));
                    Err(Failure::retry(Duration::ZERO, "it broke"))
                }
                _ => Ok(vec![text("out", "fine")]),
            }
        }
    });
    let good = ["x"; 40];
    let ids = rig.publish(&[&["bad"][..], &good[..]].concat()).await;
    rig.bus
        .until("the good are done", |state| state.count("out") == 40)
        .await;
    rig.bus
        .until("the bad one is parked", |state| {
            state.count("work.dead") == 1
        })
        .await;

    let seen = beside.lock().clone();
    let attempts: Vec<_> = seen.iter().map(|(attempts, _)| *attempts).collect();
    assert_eq!(attempts, [1, 2, 3], "two tries and one alone");
    assert!(
        seen[0].1 > 0 && seen[1].1 > 0,
        "others ran beside its first tries: {seen:?}"
    );
    assert_eq!(seen[2].1, 0, "nobody ran beside the suspect");
    assert_eq!(rig.parked(), "poisoned: failed alone, as before: it broke");
    let again = Action::Retry {
        after: Duration::ZERO,
    };
    assert_eq!(rig.bus.state().fate(ids[0])[..2], [again.clone(), again]);
    let letter = rig.letters.lock()[0].clone();
    assert_eq!((letter.code, letter.channel.as_str()), ("poisoned", "work"));
    assert_eq!(
        letter.record.text("payload"),
        Some("bad"),
        "the original bytes"
    );
    assert_eq!(rig.bus.state().count("told"), 1, "whoever waits is told");
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_succeeds_alone_is_done() {
    let rig = Rig::new();
    rig.each(4, 5, |_| async { Ok(vec![text("out", "fine")]) });
    let id = rig.bus.put_tried(CHANNEL, record("innocent"), 6);
    rig.bus
        .until("it is done", |state| state.count("out") == 1)
        .await;
    assert_eq!(rig.bus.state().fate(id), [Action::Ack]);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_may_wait_without_being_parked() {
    let rig = Rig::new();
    let waited = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&waited);
    rig.each(4, 5, move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) < 3;
        async move {
            if first {
                Err(Failure::wait(SECOND, "a limit"))
            } else {
                Ok(Vec::new())
            }
        }
    });
    let id = rig.bus.put_tried(CHANNEL, record("x"), 6);
    let done = |state: &crate::fake::State| state.fate(id).last() == Some(&Action::Ack);
    rig.bus.until("it is done", done).await;
    assert_eq!(waited.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_comes_back_is_parked_without_being_looked_at() {
    let rig = Rig::new();
    let handled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&handled);
    rig.each(4, 5, move |_| {
        flag.store(true, Ordering::SeqCst);
        async { Ok(Vec::new()) }
    });
    // It could not be decoded either, which must not even be noticed.
    let broken = Record::new([("payload".to_owned(), Bytes::from_static(b"\xff\xfe"))]);
    rig.bus.put_tried(CHANNEL, broken, 7);
    rig.bus
        .until("it is parked", |state| state.count("work.dead") == 1)
        .await;
    assert_eq!(rig.parked(), "poisoned: tried 6 times, the last one alone");
    let letter = rig.letters.lock()[0].clone();
    assert!(letter.envelope.is_none() && letter.code == "poisoned");
    assert!(!handled.load(Ordering::SeqCst), "the handler never saw it");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_parked_at_once() {
    let field = |name: &str, value: &'static [u8]| (name.to_owned(), Bytes::from_static(value));
    let cases = [
        (vec![field("payload", b"{}")], "field `type` is missing"),
        (vec![field("type", b"t")], "field `payload` is missing"),
        (
            vec![field("type", b"\xff"), field("payload", b"{}")],
            "field `type` is not readable",
        ),
        (
            vec![
                field("type", b"t"),
                field("payload", b"{}"),
                field("metadata", b"{"),
            ],
            "field `metadata` is not readable",
        ),
    ];
    for (fields, reason) in cases {
        let rig = Rig::new();
        rig.each(4, 5, |_| async { Ok(vec![text("out", "never")]) });
        rig.bus.put_tried(CHANNEL, Record::new(fields.clone()), 1);
        rig.bus
            .until("it is parked", |state| state.count("work.dead") == 1)
            .await;
        let parked = rig.parked();
        assert!(
            parked.starts_with("undecodable: ") && parked.contains(reason),
            "{parked}"
        );
        let letter = rig.letters.lock()[0].clone();
        assert!(letter.envelope.is_none() && letter.code == "undecodable");
        for (name, value) in &fields {
            assert_eq!(letter.record.get(name), Some(value), "the original bytes");
        }
        assert_eq!(rig.bus.state().count("out"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_handler_rejects_is_parked_with_its_envelope() {
    let rig = Rig::new();
    rig.each(4, 5, |_| async { Err(Failure::reject("no such thing")) });
    rig.publish(&["a"]).await;
    rig.bus
        .until("it is parked", |state| state.count("work.dead") == 1)
        .await;
    assert_eq!(rig.parked(), "rejected: no such thing");
    let letter = rig.letters.lock()[0].clone();
    assert_eq!(letter.code, "rejected");
    assert_eq!(letter.envelope.unwrap().event_type, "test.said");
    assert_eq!(letter.stored_at.as_millis(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_cannot_be_fetched_is_tried_again() {
    let rig = Rig::new();
    rig.each(4, 5, |message| async move {
        Ok(vec![text("out", &said(&message))])
    });
    let key = "ab".repeat(32);
    let mut waiting = record("");
    waiting.remove("payload");
    waiting.set(PAYLOAD_REF, format!("sha256:{key}:5"));
    let id = rig.bus.put_tried(CHANNEL, waiting, 1);
    rig.bus
        .until("it was tried", |state| !state.fate(id).is_empty())
        .await;
    assert_eq!(rig.bus.state().fate(id), [Action::Retry { after: SECOND }]);
    assert!(rig.letters.lock().is_empty(), "it is not dead");
}
