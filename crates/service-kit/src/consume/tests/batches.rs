use std::sync::Arc;
use std::time::Duration;

use nexus_bus::Action;
use parking_lot::Mutex;

use super::rig::{CHANNEL, Rig, record, said, text};
use crate::consume::{Failure, Message, Outcome};

fn echo(batch: &[Message]) -> Vec<Outcome> {
    batch
        .iter()
        .map(|message| Ok(vec![text("out", &said(message))]))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_grows_while_the_one_before_is_worked_on() {
    let rig = Rig::new();
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    rig.batches(8, 5, move |batch| {
        seen.lock().push(batch.len());
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            echo(&batch)
        }
    });
    rig.publish(&["first"]).await;
    rig.bus
        .until("the first batch is begun", |_| sizes.lock().len() == 1)
        .await;
    for text in ["a", "b", "c", "d"] {
        rig.publish(&[text]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rig.bus
        .until("all are done", |state| state.count("out") == 5)
        .await;
    assert_eq!(
        *sizes.lock(),
        [1, 4],
        "what came one by one was handed over together"
    );
    let state = rig.bus.state();
    let said: Vec<_> = state.channels["out"]
        .iter()
        .filter_map(|e| e.record.text("payload"))
        .collect();
    assert_eq!(
        said,
        ["first", "a", "b", "c", "d"],
        "in the order of the channel"
    );
}

#[tokio::test(start_paused = true)]
async fn no_batch_is_larger_than_the_permits_and_no_more_is_held_than_two() {
    let rig = Rig::new();
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let (seen, bus) = (Arc::clone(&sizes), rig.bus.clone());
    rig.batches(4, 5, move |batch| {
        seen.lock().push((batch.len(), bus.state().held()));
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            echo(&batch)
        }
    });
    rig.publish(&["x"; 30]).await;
    rig.bus
        .until("all are done", |state| state.count("out") == 30)
        .await;
    let sizes = sizes.lock();
    assert!(
        sizes.iter().all(|(size, held)| *size <= 4 && *held <= 8),
        "{sizes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn each_message_of_a_batch_has_its_own_outcome() {
    let rig = Rig::new();
    let after = Duration::from_secs(2);
    rig.batches(8, 5, move |batch| async move {
        let outcome = |message: &Message| match said(message).as_str() {
            "again" if message.attempts == 1 => Err(Failure::retry(after, "later")),
            "never" => Err(Failure::reject("no")),
            other => Ok(vec![text("out", other)]),
        };
        batch.iter().map(outcome).collect()
    });
    let ids = rig.publish(&["fine", "again", "never"]).await;
    rig.bus
        .until("two are done", |state| state.count("out") == 2)
        .await;
    let state = rig.bus.state();
    assert_eq!(state.fate(ids[0]), [Action::Ack]);
    assert_eq!(state.fate(ids[1]), [Action::Retry { after }, Action::Ack]);
    assert!(matches!(state.fate(ids[2])[..], [Action::Dead { .. }]));
}

#[tokio::test(start_paused = true)]
async fn outcomes_that_do_not_match_acknowledge_nothing() {
    for missing in [true, false] {
        let rig = Rig::new();
        rig.batches(8, 5, move |batch| async move {
            let mut outcomes = echo(&batch);
            match (batch[0].attempts, missing) {
                (1, true) => drop(outcomes.pop()),
                (1, false) => outcomes.push(Ok(Vec::new())),
                _ => {}
            }
            outcomes
        });
        let ids = rig.publish(&["a", "b"]).await;
        rig.bus
            .until("both are done", |state| state.count("out") == 2)
            .await;
        let again = Action::Retry {
            after: Duration::from_secs(1),
        };
        let state = rig.bus.state();
        assert!(
            ids.iter()
                .all(|id| state.fate(*id) == [again.clone(), Action::Ack])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_hits_all_of_a_batch_and_the_culprit_is_found_alone() {
    let rig = Rig::new();
    let batches = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&batches);
    rig.batches(8, 1, move |batch| {
        seen.lock().push(batch.iter().map(said).collect::<Vec<_>>());
        async move {
            assert!(
                !batch.iter().any(|message| said(message) == "bad"),
                "the bad one kills"
            );
            echo(&batch)
        }
    });
    rig.publish(&["a", "bad", "b"]).await;
    rig.bus
        .until("the innocent are done", |state| state.count("out") == 2)
        .await;
    rig.bus
        .until("the culprit is parked", |state| {
            state.count("work.dead") == 1
        })
        .await;
    let batches = batches.lock();
    assert_eq!(batches[0].len(), 3, "together at first");
    assert!(
        batches[1..].iter().all(|batch| batch.len() == 1),
        "then one by one: {batches:?}"
    );
    assert_eq!(rig.letters.lock()[0].record.text("payload"), Some("bad"));
    assert_eq!(
        rig.parked(),
        "poisoned: failed alone, as before: the handler panicked"
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_never_sees_what_is_poisoned_or_unreadable() {
    let rig = Rig::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    rig.bus.put_tried(CHANNEL, record("poisoned"), 7);
    rig.bus.put_tried(CHANNEL, nexus_bus::Record::default(), 1);
    rig.bus.put_tried(CHANNEL, record("good"), 1);
    rig.batches(8, 5, move |batch| {
        sink.lock().extend(batch.iter().map(said));
        async move { echo(&batch) }
    });
    rig.bus
        .until("the good one is done", |state| state.count("out") == 1)
        .await;
    rig.bus
        .until("the others are parked", |state| {
            state.count("work.dead") == 2
        })
        .await;
    assert_eq!(*seen.lock(), ["good"]);
    let codes: Vec<_> = rig
        .letters
        .lock()
        .iter()
        .map(|letter| letter.code)
        .collect();
    assert_eq!(codes, ["poisoned", "undecodable"]);
}
