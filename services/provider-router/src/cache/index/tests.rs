use nexus_contracts::{ConversationId, OrgId, Timestamp};
use uuid::Uuid;

use super::{Direction, Entry, Found, Index};
use crate::cache::guard::{Difference, Features};
use crate::cache::key::{Key, Scope};

const ROOM: Scope = Scope::test(1);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn features(text: &str) -> Features {
    Features::of(text, &[0; 16])
}

fn direction(vector: &[f32]) -> Direction {
    Direction::of(vector).unwrap()
}

fn entry(key: u8, vector: &[f32], text: &str) -> Entry {
    Entry {
        key: Key::test(key),
        direction: direction(vector),
        features: features(text),
        about: Some((
            OrgId(Uuid::nil()),
            ConversationId(Uuid::from_u128(key.into())),
        )),
        expires_at: at(100),
    }
}

fn found(index: &mut Index, vector: &[f32], text: &str) -> Found {
    let asked = (&direction(vector), &features(text));
    index.find(&ROOM, asked, 0.9, at(0))
}

fn key_of(found: &Found) -> Option<Key> {
    match found {
        Found::Alike { key, .. } => Some(*key),
        _ => None,
    }
}

#[test]
fn the_nearest_that_the_guard_lets_through_is_found() {
    let mut index = Index::new(10);
    index.add(ROOM, entry(1, &[1.0, 0.3], "bake bread"));
    index.add(ROOM, entry(2, &[1.0, 0.1], "bake bread"));
    index.add(ROOM, entry(3, &[1.0, 0.0], "do not bake bread"));
    let alike = found(&mut index, &[2.0, 0.0], "Bake bread!");
    assert_eq!(key_of(&alike), Some(Key::test(2)));
    let Found::Alike { similarity, .. } = alike else {
        panic!("{alike:?}");
    };
    assert!((0.99..1.0).contains(&similarity), "{similarity}");
    assert_eq!(
        found(&mut index, &[1.0, 0.0], "bake a cake"),
        Found::Guarded(Difference::Closed),
        "of the nearest"
    );
    assert_eq!(found(&mut index, &[0.0, 1.0], "bake bread"), Found::Nothing);
    assert_eq!(found(&mut index, &[1.0], "bake bread"), Found::Nothing);
    let elsewhere = (&direction(&[1.0, 0.1]), &features("bake bread"));
    assert_eq!(
        index.find(&Scope::test(2), elsewhere, 0.9, at(0)),
        Found::Nothing
    );
}

#[test]
fn what_was_not_needed_for_longest_goes_first() {
    let mut index = Index::new(2);
    index.add(ROOM, entry(1, &[1.0, 0.0], "a"));
    index.add(ROOM, entry(2, &[0.0, 1.0], "a"));
    assert!(key_of(&found(&mut index, &[1.0, 0.0], "a")).is_some());
    index.add(ROOM, entry(3, &[-1.0, 0.0], "a"));
    assert_eq!(index.len(), 2);
    assert!(key_of(&found(&mut index, &[1.0, 0.0], "a")).is_some());
    assert_eq!(found(&mut index, &[0.0, 1.0], "a"), Found::Nothing);
    index.add(ROOM, entry(3, &[-1.0, 0.0], "a"));
    assert_eq!(index.len(), 2, "the same one once more");
    let mut none = Index::new(0);
    none.add(ROOM, entry(1, &[1.0, 0.0], "a"));
    assert!(none.is_empty());
}

#[test]
fn what_is_over_or_gone_is_forgotten() {
    let mut index = Index::new(10);
    index.add(ROOM, entry(1, &[1.0, 0.0], "a"));
    index.add(ROOM, entry(2, &[0.0, 1.0], "a"));
    index.add(Scope::test(2), entry(3, &[0.0, 1.0], "a"));
    index.forget_conversation(OrgId(Uuid::nil()), ConversationId(Uuid::from_u128(3)));
    index.forget_conversation(OrgId(Uuid::max()), ConversationId(Uuid::from_u128(2)));
    assert_eq!(index.len(), 2);
    index.forget(&ROOM, Key::test(1));
    assert_eq!(found(&mut index, &[1.0, 0.0], "a"), Found::Nothing);
    let asked = (&direction(&[0.0, 1.0]), &features("a"));
    assert_eq!(index.find(&ROOM, asked, 0.9, at(100)), Found::Nothing);
    assert!(index.is_empty());
}

#[test]
fn a_vector_without_a_direction_has_none() {
    for vector in [&[][..], &[0.0, 0.0], &[f32::NAN], &[f32::MAX, f32::MAX]] {
        assert_eq!(Direction::of(vector), None, "{vector:?}");
    }
}
