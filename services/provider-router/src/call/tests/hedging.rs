//! Two beside each other.

use std::time::Duration;

use super::{Act, World};
use crate::provider::FailureClass;

async fn world(scripts: &[&[Act]]) -> World {
    let mut world = World::new(scripts).await;
    world.plan.hedge_after = Some(Duration::from_millis(100));
    world
}

#[tokio::test]
async fn a_quick_answer_asks_nobody_else() {
    let world = world(&[&[Act::Say(50, "quick")], &[]]).await;
    assert_eq!(world.ask().await.answer(), ("a", "quick"));
    assert_eq!(world.calls(), [1, 0]);
}

#[tokio::test]
async fn who_speaks_first_is_heard_and_the_other_is_let_go() {
    let world = world(&[&[Act::Say(500, "slow")], &[Act::Say(50, "quick")]]).await;
    let came = world.ask().await;
    assert_eq!(
        (came.answer(), came.heard.as_str()),
        (("b", "quick"), "quick")
    );
    // What was let go is told too.
    assert_eq!(came.outcomes(), ["aborted", "completed"]);
    let took = came.attempts.first().unwrap().took;
    assert!(took >= Duration::from_millis(150), "{took:?}");
}

#[tokio::test]
async fn the_first_may_still_win() {
    let world = world(&[&[Act::Say(120, "first")], &[Act::Say(500, "second")]]).await;
    let came = world.ask().await;
    assert_eq!(
        (came.answer(), came.heard.as_str()),
        (("a", "first"), "first")
    );
    assert_eq!(came.outcomes(), ["completed", "aborted"]);
}

#[tokio::test]
async fn when_one_fails_the_other_is_waited_for() {
    let fails = Act::Fail("", FailureClass::Unavailable);
    let world = world(&[&[Act::Say(300, "slow")], &[fails]]).await;
    let came = world.ask().await;
    assert_eq!(came.answer(), ("a", "slow"));
    assert_eq!(came.outcomes(), ["completed", "provider_failed"]);
}

#[tokio::test]
async fn a_failure_before_that_is_a_fallback_as_ever() {
    let fails = Act::Fail("", FailureClass::Unavailable);
    let world = world(&[&[fails], &[Act::Say(0, "next")]]).await;
    assert_eq!(world.ask().await.answer(), ("b", "next"));
    assert_eq!(world.calls(), [1, 1]);
}
