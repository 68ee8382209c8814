//! Calls: what goes through, and every way they end otherwise.

use std::sync::Arc;
use std::time::Duration;

use nexus_mcp::{CallError, Meta, Part};
use serde_json::json;

use crate::support::{call, fake, fleet_of, ready, said};

#[tokio::test]
async fn a_tool_is_called_and_its_parts_come_back() {
    let fleet = fleet_of(fake("greets")).await;
    let status = ready(&fleet).await;
    assert_eq!(status.version.as_deref(), Some("fake 1"));
    // Eighteen tools on four pages, one of them with a name no provider takes.
    let tools = fleet.tools();
    assert_eq!(tools.len(), 18);
    assert!(
        tools
            .iter()
            .any(|tool| tool.name.starts_with("fake__add_tool_") && tool.own_name == "add tool")
    );
    assert!(
        tools
            .iter()
            .all(|tool| tool.ready && tool.trust.untrusted && !tool.read_only)
    );
    assert_eq!(
        said(&fleet, "echo", json!({"text": "hello"})).await,
        "hello"
    );
    let picture = call(&fleet, "picture", json!(null)).await.unwrap();
    assert!(
        matches!(&picture.parts[0], Part::Image { mime, data } if mime == "image/png" && data == "hi")
    );
    assert_eq!(picture.structured, Some(json!({"n": 1})));
    fleet.shutdown().await;
}

#[tokio::test]
async fn arguments_are_checked_before_the_server_sees_them() {
    let fleet = fleet_of(fake("good")).await;
    ready(&fleet).await;
    for bad in [
        json!({}),
        json!({"text": 5}),
        json!({"text": "x", "more": 1}),
        json!([]),
        json!("x"),
    ] {
        let error = call(&fleet, "echo", bad).await.unwrap_err();
        assert!(matches!(error, CallError::Arguments { .. }), "{error}");
        assert!(!error.may_have_acted());
    }
    let error = call(&fleet, "ecko", json!({})).await.unwrap_err();
    assert!(error.to_string().contains("fake__echo"), "{error}");
    let elsewhere = fleet
        .call("other__echo", json!({}), Meta::default())
        .await
        .unwrap_err();
    assert!(matches!(elsewhere, CallError::UnknownTool { .. }));
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_failure_carries_the_servers_words_as_the_servers() {
    let fleet = fleet_of(fake("good")).await;
    ready(&fleet).await;
    let failed = call(&fleet, "fail", json!({})).await.unwrap_err();
    assert_eq!(
        failed,
        CallError::Failed {
            server: "fake".into(),
            words: "no such city".into()
        }
    );
    let refused = call(&fleet, "refuse", json!({})).await.unwrap_err();
    assert!(
        matches!(&refused, CallError::Refused { code: -32050, words, .. } if words == "not today"),
        "{refused}"
    );
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_call_given_up_is_told_to_the_server_whether_late_or_dropped() {
    let mut server = fake("good");
    server.call_timeout = Duration::from_millis(300);
    let fleet = fleet_of(server).await;
    ready(&fleet).await;
    let late = call(&fleet, "slow", json!({})).await.unwrap_err();
    assert!(
        matches!(late, CallError::Timeout { sent: true, .. }),
        "{late}"
    );
    assert!(late.may_have_acted());
    let dropped = tokio::time::timeout(Duration::from_millis(100), call(&fleet, "slow", json!({})));
    assert!(dropped.await.is_err());
    // The server handles one message after the other, so this cannot overtake them for ever.
    let both = async {
        loop {
            let told: Vec<u64> =
                serde_json::from_str(&said(&fleet, "cancelled", json!({})).await).unwrap();
            if told.len() == 2 {
                return told;
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .unwrap();
    assert_ne!(told[0], told[1]);
    fleet.shutdown().await;
}

#[tokio::test]
async fn progress_is_passed_on() {
    let fleet = fleet_of(fake("good")).await;
    ready(&fleet).await;
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let meta = Meta {
        progress: Some(Arc::new(move |progress| {
            let _ = sender.send(progress);
        })),
        ..Meta::default()
    };
    let two = async { [told.recv().await, told.recv().await] };
    let mut steps = tokio::select! {
        outcome = fleet.call("fake__steps", json!({}), meta) => panic!("ended: {outcome:?}"),
        steps = two => steps.map(Option::unwrap),
    };
    steps.sort_by(|a, b| a.done.total_cmp(&b.done));
    assert_eq!(steps[1].message.as_deref(), Some("step 2"));
    assert_eq!((steps[0].done, steps[0].total), (1.0, Some(2.0)));
    fleet.shutdown().await;
}

#[tokio::test]
async fn results_are_cut_at_the_limit_and_say_so() {
    let mut server = fake("good");
    server.limits.result_bytes = 10_000;
    let fleet = fleet_of(server).await;
    ready(&fleet).await;
    let result = call(&fleet, "huge", json!({"size": 1_000_000}))
        .await
        .unwrap();
    assert_eq!(result.text().len(), 10_000);
    assert!(
        result.notes[0].contains("1000000 bytes was cut"),
        "{:?}",
        result.notes
    );
    fleet.shutdown().await;
}
