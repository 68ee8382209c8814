//! Servers that break the rules harm themselves alone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_mcp::{CallError, Fleet, MemoryPins, Meta, Parts, Plain, Sampler};
use serde_json::{Value, json};

use crate::support::{TOKEN, call, config, failed, fake, fleet_of, ready, said, until};

#[tokio::test]
async fn one_that_dies_at_once_is_tried_again_ever_later_and_says_why() {
    let mut server = fake("dies");
    server.env = vec!["TOKEN".to_owned()];
    let fleet = fleet_of(server).await;
    let reason = failed(&fleet).await;
    assert!(reason.contains("no licence; token [secret]"), "{reason}");
    let begun = tokio::time::Instant::now();
    let status = until(&fleet, "tried five times", |status| status.restarts >= 5).await;
    // 100, 200, 400 and 400 ms, each at least half of it: no hot loop.
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    assert!(status.stderr.iter().all(|line| !line.contains(TOKEN)));
    let error = call(&fleet, "echo", json!({"text": ""})).await.unwrap_err();
    assert!(matches!(error, CallError::NotReady { .. }), "{error}");
    fleet.shutdown().await;
}

#[tokio::test]
async fn one_that_never_answers_is_given_up() {
    let mut server = fake("mute");
    server.timeout = Duration::from_millis(500);
    let fleet = fleet_of(server).await;
    assert!(failed(&fleet).await.contains("did not answer the greeting"));
    fleet.shutdown().await;
}

#[tokio::test]
async fn garbage_endless_lines_and_endless_lists_end_the_connection() {
    for (mode, words) in [
        ("flood", "too many lines are no message"),
        ("endless", "larger than `limits.message_bytes`"),
        ("circle", "does not end"),
        ("many", "more than 4096 tools"),
    ] {
        let fleet = fleet_of(fake(mode)).await;
        let reason = failed(&fleet).await;
        assert!(reason.contains(words), "{mode}: {reason}");
        assert!(fleet.tools().is_empty());
        fleet.shutdown().await;
    }
}

#[tokio::test]
async fn a_result_larger_than_a_message_may_be_ends_the_connection_and_the_call() {
    let mut server = fake("good");
    server.limits.message_bytes = 100_000;
    let fleet = fleet_of(server).await;
    ready(&fleet).await;
    let error = call(&fleet, "huge", json!({"size": 1_000_000}))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Lost { .. }), "{error}");
    assert!(error.may_have_acted());
    until(&fleet, "started again", |status| status.restarts == 1).await;
    ready(&fleet).await;
    assert_eq!(said(&fleet, "echo", json!({"text": "back"})).await, "back");
    fleet.shutdown().await;
}

#[tokio::test]
async fn an_answer_to_another_call_is_no_answer() {
    let mut server = fake("other_id");
    server.call_timeout = Duration::from_millis(400);
    let fleet = fleet_of(server).await;
    ready(&fleet).await;
    let error = call(&fleet, "echo", json!({"text": "x"}))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
    fleet.shutdown().await;
}

#[tokio::test]
async fn one_that_ends_during_a_call_loses_it_and_comes_back() {
    let fleet = fleet_of(fake("good")).await;
    ready(&fleet).await;
    let error = call(&fleet, "die", json!({})).await.unwrap_err();
    assert!(matches!(error, CallError::Lost { .. }), "{error}");
    let status = until(&fleet, "failed", |status| status.restarts == 1).await;
    assert_eq!(
        status.stderr.last().map(String::as_str),
        Some("I was told to die")
    );
    ready(&fleet).await;
    assert_eq!(said(&fleet, "echo", json!({"text": "back"})).await, "back");
    fleet.shutdown().await;
}

struct Parrot;

#[async_trait]
impl Sampler for Parrot {
    async fn sample(&self, server: &str, request: Value) -> Result<Value, String> {
        assert_eq!((server, &request["maxTokens"]), ("fake", &json!(5)));
        let content = json!({"type": "text", "text": "sampled"});
        Ok(
            json!({"role": "assistant", "model": "parrot", "content": content, "stopReason": "endTurn"}),
        )
    }
}

#[tokio::test]
async fn what_a_server_asks_of_us_is_refused_unless_allowed_and_answered() {
    let methods = [
        "sampling/createMessage",
        "roots/list",
        "elicitation/create",
        "secrets/list",
    ];
    for (allowed, given) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut server = fake("good");
        server.sampling = allowed;
        let fleet = Fleet::new(Parts {
            launcher: Arc::new(Plain),
            pins: Arc::new(MemoryPins::default()),
            environment: Arc::new(|_| None),
            sampler: given.then(|| Arc::new(Parrot) as Arc<dyn Sampler>),
        });
        fleet.apply(&config(server)).await.unwrap();
        ready(&fleet).await;
        for method in methods {
            let call = fleet.call("fake__ask", json!({"method": method}), Meta::default());
            let answer = call.await.unwrap().text();
            let sampled = allowed && given && method == methods[0];
            assert_eq!(answer.contains("sampled"), sampled, "{method}: {answer}");
            assert_eq!(answer.contains("-32601"), !sampled, "{method}: {answer}");
        }
        fleet.shutdown().await;
    }
}
