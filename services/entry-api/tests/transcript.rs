//! A reader may come, go and come back: what it shows in the end is always the same.

use nexus_contracts::live::LiveEvent;
use nexus_entry_api::transcript::Transcript;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;
use serde_json::json;

fn show<'a>(events: impl IntoIterator<Item = &'a LiveEvent>) -> Transcript {
    let mut shown = Transcript::default();
    events.into_iter().for_each(|event| shown.apply(event));
    shown
}

fn delta(step: u32, text: &str) -> LiveEvent {
    LiveEvent::Delta {
        step,
        text: text.to_owned(),
    }
}

fn snapshot(step: u32, text: &str) -> LiveEvent {
    LiveEvent::Snapshot {
        step,
        text: text.to_owned(),
    }
}

/// A run as its workers report it: some steps, each of deltas with a snapshot in between now and
/// then; and the text of its last step.
fn run(steps: &[Vec<String>], snapshot_every: usize) -> (Vec<LiveEvent>, String) {
    let mut events = Vec::new();
    let mut text = String::new();
    for (step, parts) in (1..).zip(steps) {
        text.clear();
        events.push(LiveEvent::Status {
            step,
            status: "thinking".into(),
        });
        events.push(snapshot(step, ""));
        for (number, part) in parts.iter().enumerate() {
            text.push_str(part);
            events.push(delta(step, part));
            if number % snapshot_every == snapshot_every - 1 {
                events.push(snapshot(step, &text));
            }
        }
    }
    (events, text)
}

fn steps() -> impl Strategy<Value = Vec<Vec<String>>> {
    vec(vec("\\PC{0,8}", 0..12), 1..4)
}

proptest! {
    /// Deltas of the final step, or a snapshot and the deltas behind it, add up to the answer.
    #[test]
    fn what_streamed_is_the_answer(steps in steps(), every in 1_usize..6) {
        let (events, answer) = run(&steps, every);
        let shown = show(&events);
        prop_assert_eq!(shown.text(), answer.as_str());
        let end = LiveEvent::Completed { message: json!({ "text": answer }) };
        let ended = show(events.iter().chain([&end]));
        prop_assert_eq!(ended.text(), answer.as_str());
        prop_assert!(ended.is_finished());
    }

    /// A reader that lost everything up to some snapshot shows the same from there on.
    #[test]
    fn a_reader_that_comes_in_at_a_snapshot_shows_the_same(
        steps in steps(), every in 1_usize..6, at in any::<Index>(),
    ) {
        let (events, answer) = run(&steps, every);
        let entries: Vec<usize> = (0..events.len())
            .filter(|at| matches!(events.get(*at), Some(LiveEvent::Snapshot { .. })))
            .collect();
        let from = *at.get(&entries);
        let shown = show(&events[from..]);
        prop_assert_eq!(shown.text(), answer.as_str());
    }

    /// A reader that lost a stretch in the middle and resumed at a snapshot shows the same too.
    #[test]
    fn a_gap_leaves_no_trace(
        steps in steps(), every in 1_usize..6, left in any::<Index>(), at in any::<Index>(),
    ) {
        let (events, answer) = run(&steps, every);
        let left = left.index(events.len());
        let entries: Vec<usize> = (left..events.len())
            .filter(|at| matches!(events.get(*at), Some(LiveEvent::Snapshot { .. })))
            .collect();
        if !entries.is_empty() {
            let back = *at.get(&entries);
            let shown = show(events[..left].iter().chain(&events[back..]));
            prop_assert_eq!(shown.text(), answer.as_str());
        }
    }
}

#[test]
fn a_model_call_that_starts_over_replaces_what_it_had_said() {
    let shown = show(&[delta(1, "half an ans"), snapshot(1, ""), delta(1, "whole")]);
    assert_eq!(shown.text(), "whole");
}

#[test]
fn what_an_earlier_step_says_late_is_ignored() {
    let shown = show(&[
        delta(1, "let me see"),
        delta(2, "1591"),
        delta(1, "…"),
        snapshot(1, "x"),
    ]);
    assert_eq!((shown.step(), shown.text()), (2, "1591"));
}

#[test]
fn nothing_counts_after_the_end() {
    let end = LiveEvent::Failed {
        message: json!({ "code": "cancelled" }),
    };
    let shown = show(&[delta(1, "a"), end, delta(1, "b")]);
    assert_eq!(shown.text(), "a");
}
