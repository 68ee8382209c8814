//! Several that can answer.

use std::time::Duration;

use nexus_contracts::chat::Role;
use serde_json::json;

use super::{AWAY, Act, World};
use crate::call::Unanswered;
use crate::provider::FailureClass;
use crate::registry::route::OnInterruption;

#[tokio::test]
async fn the_next_is_asked_at_once_whatever_is_wrong() {
    let classes = [
        FailureClass::Unreachable,
        FailureClass::Unauthorized,
        FailureClass::BadRequest,
        FailureClass::Garbled,
        FailureClass::TimedOut,
    ];
    for class in classes {
        let world = World::new(&[&[Act::Fail("", class)], &[]]).await;
        let began = tokio::time::Instant::now();
        let came = world.ask().await;
        assert_eq!(came.answer(), ("b", "Hi"), "{class:?}");
        let took = began.elapsed();
        assert!(
            took < Duration::from_millis(100),
            "no pause between two: {took:?}"
        );
        assert_eq!(world.calls(), [1, 1]);
        let mishap = came.attempts.first().unwrap().mishap().unwrap();
        assert_eq!(mishap["provider"], "a");
        assert_eq!(mishap["code"], class.code());
    }
}

#[tokio::test]
async fn who_failed_for_good_is_left_out_of_the_next_round() {
    let refused = Act::Fail("", FailureClass::BadRequest);
    let world = World::new(&[&[refused], &[AWAY]]).await;
    let came = world.ask().await;
    assert_eq!(came.answer(), ("b", "Hi"));
    assert_eq!(world.calls(), [1, 2]);
}

#[tokio::test]
async fn when_nobody_answers_everybodys_words_are_told() {
    let refused = Act::Fail("", FailureClass::BadRequest);
    let world = World::new(&[&[refused], &[AWAY, AWAY, AWAY]]).await;
    let came = world.ask().await;
    let (failure, heard) = came.failure();
    // One of them may be back later, so all of it may be tried again.
    assert_eq!(failure.class, FailureClass::Unreachable);
    assert_eq!(failure.detail, "nobody answered: failed; failed");
    assert!(!heard);
}

#[tokio::test]
async fn the_next_goes_on_where_an_answer_broke_off_and_the_seam_is_marked() {
    let broken = Act::Fail("one, two, ", FailureClass::Interrupted);
    let world = World::new(&[&[broken], &[Act::Say(0, "three")]]).await;
    let came = world.ask().await;
    assert_eq!(came.answer(), ("b", "one, two, three"));
    assert_eq!(came.heard, "one, two, three");
    let answer = &came.outcome.as_ref().unwrap().answer;
    assert_eq!(
        answer.metadata.get("seams"),
        Some(&json!([{
            "at": 10,
            "from": {"provider": "a", "model": "m"},
            "to": {"provider": "b", "model": "m"},
            "reason": "failed",
        }]))
    );
    // It is told what was said, and to go on.
    let asked = world.asked(1).messages;
    let roles: Vec<Role> = asked.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
    assert_eq!(asked.get(1).unwrap().content, "one, two, ");
}

#[tokio::test]
async fn several_seams_name_everybody() {
    let broken = |text| [Act::Fail(text, FailureClass::Interrupted)];
    let world = World::new(&[&broken("1"), &broken("2"), &[Act::Say(0, "3")]]).await;
    let came = world.ask().await;
    assert_eq!(came.answer(), ("c", "123"));
    let answer = &came.outcome.as_ref().unwrap().answer;
    let seams = answer.metadata.get("seams").unwrap().as_array().unwrap();
    let names: Vec<[&str; 2]> = seams
        .iter()
        .map(|seam| ["from", "to"].map(|end| seam[end]["provider"].as_str().unwrap()))
        .collect();
    assert_eq!(names, [["a", "b"], ["b", "c"]]);
}

#[tokio::test]
async fn where_a_route_says_so_what_broke_off_fails() {
    let broken = Act::Fail("one, ", FailureClass::Interrupted);
    let mut world = World::new(&[&[broken], &[]]).await;
    world.plan.on_interruption = OnInterruption::Fail;
    let came = world.ask().await;
    assert!(came.failure().1, "somebody has heard a part");
    assert_eq!(world.calls(), [1, 0]);
}

#[tokio::test]
async fn a_limited_provider_rests_and_the_others_go_on() {
    let world = World::new(&[&[Act::Limit(60)], &[]]).await;
    assert_eq!(world.ask().await.answer().0, "b");
    assert_eq!(world.ask().await.answer().0, "b");
    assert_eq!(world.calls(), [1, 2], "not asked again while it rests");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(world.ask().await.answer().0, "a");
}

#[tokio::test]
async fn an_open_breaker_is_passed_by_and_probed_later() {
    let acts = vec![Act::Fail("", FailureClass::Unavailable); 5];
    let world = World::new(&[&acts, &[]]).await;
    for _ in 0..8 {
        assert_eq!(world.ask().await.answer().0, "b");
    }
    assert_eq!(
        world.calls(),
        [5, 8],
        "the breaker opened after five failures"
    );
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(world.ask().await.answer().0, "a", "the probe");
}

#[tokio::test]
async fn a_rest_is_waited_for_by_whom_it_meets() {
    let world = World::new(&[&[Act::Limit(15)]]).await;
    assert_eq!(world.ask().await.answer(), ("a", "Hi"));
}

#[tokio::test]
async fn a_long_rest_of_everybody_sends_the_command_back() {
    let acts = vec![Act::Fail("", FailureClass::Unavailable); 6];
    let world = World::new(&[&acts]).await;
    assert_eq!(
        world.ask().await.failure().0.class,
        FailureClass::Unavailable
    );
    // The breaker opens in the middle of the second, which waits, is the probe, and fails.
    assert_eq!(
        world.ask().await.failure().0.class,
        FailureClass::Unavailable
    );
    assert_eq!(world.calls(), [6]);
    let third = world.ask().await;
    assert!(
        matches!(third.outcome, Err(Unanswered::NotNow(wait)) if wait > Duration::from_secs(5)),
        "{:?}",
        third.outcome
    );
}

#[tokio::test]
async fn a_refused_key_is_asked_last_for_a_while() {
    let refused = Act::Fail("", FailureClass::Unauthorized);
    let world = World::new(&[&[refused], &[]]).await;
    assert_eq!(world.ask().await.answer().0, "b");
    assert_eq!(world.ask().await.answer().0, "b");
    assert_eq!(world.calls(), [1, 2]);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(world.ask().await.answer().0, "a");
}
