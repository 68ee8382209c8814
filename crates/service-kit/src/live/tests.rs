use std::time::Duration;

use nexus_bus::{BusError, LiveEntry};
use nexus_contracts::RunId;
use nexus_contracts::live::LiveEvent;
use tokio::time::sleep;
use uuid::Uuid;

use super::{COALESCE, LiveWriter};
use crate::fake::FakeBus;

const RUN: RunId = RunId(Uuid::from_u128(7));

struct Desk {
    bus: FakeBus,
    live: LiveWriter,
    _folder: tempfile::TempDir,
}

fn desk() -> Desk {
    let (folder, bus) = (tempfile::tempdir().unwrap(), FakeBus::default());
    let live = LiveWriter::new(bus.deps(&folder).bus, RUN, 1);
    Desk {
        bus,
        live,
        _folder: folder,
    }
}

fn written(bus: &FakeBus) -> Vec<(LiveEvent, bool)> {
    let read = |entry: &LiveEntry| (serde_json::from_slice(&entry.data).unwrap(), entry.snapshot);
    bus.state()
        .live
        .get(&RUN.live_topic())
        .into_iter()
        .flatten()
        .map(read)
        .collect()
}

/// What a reader shows of step 1: deltas append, snapshots replace.
fn shown(events: &[(LiveEvent, bool)]) -> String {
    events
        .iter()
        .fold(String::new(), |shown, (event, _)| match event {
            LiveEvent::Delta { text, .. } => shown + text,
            LiveEvent::Snapshot { text, .. } => text.clone(),
            _ => shown,
        })
}

fn deltas(events: &[(LiveEvent, bool)]) -> usize {
    events
        .iter()
        .filter(|(event, _)| matches!(event, LiveEvent::Delta { .. }))
        .count()
}

#[tokio::test(start_paused = true)]
async fn the_first_delta_goes_out_at_once_and_the_next_ones_together() {
    let mut desk = desk();
    desk.live.delta("a").await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(shown(&written(&desk.bus)), "a", "time to the first token");
    for text in ["b", "c", "d"] {
        desk.live.delta(text).await;
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        shown(&written(&desk.bus)),
        "a",
        "the others wait for each other"
    );
    sleep(COALESCE).await;
    let events = written(&desk.bus);
    assert_eq!((shown(&events).as_str(), deltas(&events)), ("abcd", 2));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_begins_with_an_empty_snapshot() {
    let mut desk = desk();
    desk.live.delta("half an ans").await;
    desk.live.finish().await;
    let folder = tempfile::tempdir().unwrap();
    let mut second = LiveWriter::new(desk.bus.deps(&folder).bus, RUN, 1);
    second.delta("an answer").await;
    second.finish().await;
    let events = written(&desk.bus);
    assert_eq!(
        shown(&events),
        "an answer",
        "what the first attempt said is gone"
    );
    let fresh = LiveEvent::Snapshot {
        step: 1,
        text: String::new(),
    };
    assert_eq!(
        events
            .iter()
            .filter(|(event, mark)| *event == fresh && *mark)
            .count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn snapshots_come_with_the_entries_and_with_the_time() {
    let mut many = desk();
    for _ in 0..300 {
        many.live.delta("x").await;
        sleep(COALESCE + Duration::from_millis(1)).await;
    }
    let events = written(&many.bus);
    assert_eq!(shown(&events), "x".repeat(300));
    let marks: Vec<_> = events
        .iter()
        .enumerate()
        .filter(|(_, (_, mark))| *mark)
        .collect();
    assert!(
        marks.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 128),
        "every 128 entries"
    );

    let mut slow = desk();
    for _ in 0..4 {
        slow.live.delta("x").await;
        sleep(Duration::from_millis(2100)).await;
    }
    let marks = written(&slow.bus).iter().filter(|(_, mark)| *mark).count();
    assert!(marks >= 4, "every two seconds: {marks}");
}

#[tokio::test(start_paused = true)]
async fn events_keep_their_place_behind_the_text() {
    let mut desk = desk();
    let status = LiveEvent::Status {
        step: 1,
        status: "calling_tools".to_owned(),
    };
    let end = LiveEvent::Completed {
        message: serde_json::json!({"text": "ab"}),
    };
    desk.live.delta("a").await;
    desk.live.event(status.clone()).await;
    desk.live.delta("b").await;
    desk.live.event(end.clone()).await;
    desk.live.finish().await;
    let events = written(&desk.bus);
    let kinds: Vec<_> = events.iter().map(|(event, _)| event.kind()).collect();
    assert_eq!(kinds, ["snapshot", "delta", "status", "delta", "completed"]);
    assert_eq!(
        events.last(),
        Some(&(end, true)),
        "the end stands for everything before it"
    );
    assert!(events.contains(&(status, false)));
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_away_holds_nobody_up() {
    let mut desk = desk();
    let reason = "unplugged".to_owned();
    desk.bus.state().down = Some(BusError::Unreachable {
        address: "fake".to_owned(),
        reason,
    });
    desk.live.delta("lost").await;
    desk.live.finish().await;
    desk.bus.state().down = None;
    desk.live.delta(" and found").await;
    sleep(Duration::from_secs(3)).await;
    desk.live.delta("!").await;
    desk.live.finish().await;
    assert_eq!(
        shown(&written(&desk.bus)),
        "lost and found!",
        "the next snapshot has it all"
    );
}
