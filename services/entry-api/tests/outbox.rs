//! The schedule of the ingress outbox.

use std::collections::BTreeSet;

use nexus_contracts::{ConversationId, OrgId, RunId, Timestamp, derive_id};
use nexus_entry_api::outbox::{Backoff, Key, Lanes, Outbox};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

const BACKOFF: Backoff = Backoff {
    first_ms: 2_000,
    longest_ms: 60_000,
};

fn key(number: u8) -> Key {
    let org = OrgId(derive_id([b"org".as_slice()]));
    Key {
        org,
        run: RunId(derive_id([[number].as_slice()])),
    }
}

fn conversation(number: u8) -> ConversationId {
    ConversationId(derive_id([b"c".as_slice(), &[number]]))
}

/// Some stand in two lines, as a branch does.
fn lanes(number: u8) -> Lanes {
    Lanes {
        conversation: conversation(number % 3),
        parent: (number >= 20).then(|| conversation((number + 1) % 3)),
    }
}

/// The lines a message stands in.
fn lines_of(number: u8) -> Vec<usize> {
    let also = (number >= 20).then(|| usize::from((number + 1) % 3));
    std::iter::once(usize::from(number % 3))
        .chain(also)
        .collect()
}

const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn due(outbox: &mut Outbox<u8>, now: i64) -> Vec<u8> {
    outbox
        .take_due(at(now), 100)
        .into_iter()
        .map(|due| due.load)
        .collect()
}

#[test]
fn a_message_is_due_at_once_then_after_twice_as_long_every_time() {
    let mut outbox = Outbox::new(BACKOFF);
    outbox.push(key(1), conversation(1).into(), 1, at(0));
    assert_eq!(due(&mut outbox, 0), [1]);
    let mut waits = Vec::new();
    let mut now = 0;
    for _ in 0..7 {
        let next = outbox.next_due().unwrap().as_millis();
        assert!(due(&mut outbox, next - 1).is_empty());
        assert_eq!(due(&mut outbox, next), [1]);
        waits.push(next - now);
        now = next;
    }
    assert_eq!(waits, [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
}

#[test]
fn the_next_of_a_conversation_waits_for_the_answer_to_the_one_before() {
    let mut outbox = Outbox::new(BACKOFF);
    for number in 1..=3 {
        outbox.push(key(number), conversation(1).into(), number, at(0));
    }
    outbox.push(key(9), conversation(2).into(), 9, at(0));
    let mut first = due(&mut outbox, 0);
    first.sort_unstable();
    assert_eq!(first, [1, 9], "one of each conversation");
    assert!(outbox.settle(&key(1), at(10)));
    assert_eq!(due(&mut outbox, 10), [2]);
    assert!(outbox.settle(&key(2), at(20)));
    assert_eq!(due(&mut outbox, 20), [3]);
    assert!(outbox.settle(&key(3), at(30)));
    assert!(
        !outbox.settle(&key(3), at(30)),
        "a second answer changes nothing"
    );
    assert_eq!(outbox.len(), 1);
}

#[test]
fn a_branch_waits_in_both_conversations_and_both_wait_for_it() {
    let mut outbox = Outbox::new(BACKOFF);
    let branch = Lanes {
        conversation: conversation(2),
        parent: Some(conversation(1)),
    };
    outbox.push(key(1), conversation(1).into(), 1, at(0));
    outbox.push(key(2), branch, 2, at(0));
    outbox.push(key(3), conversation(2).into(), 3, at(0));
    outbox.push(key(4), conversation(1).into(), 4, at(0));
    assert_eq!(due(&mut outbox, 0), [1]);
    outbox.settle(&key(1), at(1));
    assert_eq!(due(&mut outbox, 1), [2]);
    outbox.settle(&key(2), at(2));
    let mut rest = due(&mut outbox, 2);
    rest.sort_unstable();
    assert_eq!(rest, [3, 4]);
}

#[test]
fn an_answer_to_one_that_still_waits_takes_it_out_of_the_line() {
    let mut outbox = Outbox::new(BACKOFF);
    for number in 1..=3 {
        outbox.push(key(number), conversation(1).into(), number, at(0));
    }
    assert_eq!(due(&mut outbox, 0), [1]);
    assert!(outbox.settle(&key(2), at(1)));
    assert!(
        due(&mut outbox, 1).is_empty(),
        "the first is not answered yet"
    );
    outbox.settle(&key(1), at(2));
    assert_eq!(due(&mut outbox, 2), [3]);
}

#[test]
fn a_bus_that_lost_everything_gets_everything_at_once() {
    let mut outbox = Outbox::new(BACKOFF);
    for number in 1..=3 {
        outbox.push(key(number), conversation(number).into(), number, at(0));
    }
    outbox.push(key(4), conversation(1).into(), 4, at(0));
    due(&mut outbox, 0);
    assert!(due(&mut outbox, 10).is_empty());
    outbox.all_due(at(10));
    let mut again = due(&mut outbox, 10);
    again.sort_unstable();
    assert_eq!(again, [1, 2, 3], "still in order within a conversation");
}

#[test]
fn what_the_bus_refused_counts_as_never_published() {
    let mut outbox = Outbox::new(BACKOFF);
    outbox.push(key(1), conversation(1).into(), 1, at(0));
    let refused = outbox.take_due(at(0), 10);
    outbox.put_back(&refused, at(5));
    let again = outbox.take_due(at(5), 10);
    assert_eq!(again, refused);
    assert_eq!(outbox.next_due(), Some(at(2_005)));
}

#[test]
fn the_same_message_twice_is_there_once() {
    let mut outbox = Outbox::new(BACKOFF);
    outbox.push(key(1), conversation(1).into(), 1, at(0));
    outbox.push(key(1), conversation(1).into(), 1, at(0));
    assert_eq!((outbox.len(), due(&mut outbox, 0)), (1, vec![1]));
}

#[derive(Clone, Debug)]
enum Act {
    Push(u8),
    Settle(u8),
    Take(i64),
    Flush,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0_u8..30).prop_map(Act::Push),
        (0_u8..30).prop_map(Act::Settle),
        (0_i64..9_000).prop_map(Act::Take),
        Just(Act::Flush),
    ]
}

proptest! {
    /// Whatever happens: of each conversation only the oldest unanswered message is published, and
    /// everything unanswered is published sooner or later.
    #[test]
    fn order_holds_and_nothing_is_forgotten(acts in vec(act(), 0..80)) {
        let mut outbox = Outbox::new(BACKOFF);
        let mut lines: Vec<Vec<u8>> = vec![Vec::new(); 3];
        let mut now = 0;
        for act in acts {
            match act {
                Act::Push(n) => {
                    outbox.push(key(n), lanes(n), n, at(now));
                    for line in lines_of(n) {
                        if !lines[line].contains(&n) {
                            lines[line].push(n);
                        }
                    }
                }
                Act::Settle(n) => {
                    let was_there = lines[usize::from(n % 3)].contains(&n);
                    prop_assert_eq!(outbox.settle(&key(n), at(now)), was_there);
                    for line in lines_of(n) {
                        lines[line].retain(|other| *other != n);
                    }
                }
                Act::Take(pass) => {
                    now += pass;
                    for n in due(&mut outbox, now) {
                        for line in lines_of(n) {
                            prop_assert_eq!(lines[line].first(), Some(&n));
                        }
                    }
                }
                Act::Flush => outbox.all_due(at(now)),
            }
        }
        let all: BTreeSet<u8> = lines.iter().flatten().copied().collect();
        prop_assert_eq!(outbox.len(), all.len());
        let mut order = Vec::new();
        for _ in 0..30 {
            now += 60_000;
            for n in due(&mut outbox, now) {
                outbox.settle(&key(n), at(now));
                order.push(n);
            }
        }
        prop_assert!(outbox.is_empty());
        for (number, line) in lines.iter().enumerate() {
            let here = |n: &u8| lines_of(*n).contains(&number);
            let seen: Vec<u8> = order.iter().copied().filter(here).collect();
            prop_assert_eq!(&seen, line);
        }
    }
}
