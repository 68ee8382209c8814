//! The event stream: as it happens, resumed, and after the fact.

use std::time::Duration;

use anyhow::{Context, Result};
use eventsource_stream::Eventsource;
use futures::StreamExt;
use nexus_contracts::RunId;
use nexus_contracts::live::LiveEvent;
use nexus_entry_api::transcript::Transcript;
use serde_json::{Value, json};

use crate::node::{PATIENCE, Setup, good, problem};

/// One event as a reader gets it.
struct Got {
    id: u64,
    name: String,
    event: LiveEvent,
}

/// Reads a stream to its end.
async fn read(setup: &Setup, id: &str, after: Option<&str>) -> Result<Vec<Got>> {
    let response = setup.events(id, after).await?.error_for_status()?;
    let kind = response
        .headers()
        .get("content-type")
        .context("no content type")?;
    assert!(kind.to_str()?.starts_with("text/event-stream"));
    let mut events = response.bytes_stream().eventsource();
    let mut got = Vec::new();
    let reading = async {
        while let Some(event) = events.next().await {
            let event = event?;
            let (id, name) = (event.id.parse()?, event.event);
            got.push(Got {
                id,
                name,
                event: serde_json::from_str(&event.data)?,
            });
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .context("the stream did not end")??;
    Ok(got)
}

fn text(got: &[Got]) -> String {
    let mut shown = Transcript::default();
    got.iter().for_each(|got| shown.apply(&got.event));
    shown.text().to_owned()
}

fn names(got: &[Got]) -> Vec<&str> {
    got.iter().map(|got| got.name.as_str()).collect()
}

const SAID: &str = "stream one two three four";

pub(crate) async fn everything_is_reported_and_adds_up_to_the_answer(setup: Setup) -> Result<()> {
    let asked = setup.say(SAID).await?;
    let got = read(&setup, &asked.correlation_id, None).await?;
    assert_eq!(text(&got), SAID);
    assert!(
        names(&got).starts_with(&["snapshot", "status"]),
        "{:?}",
        names(&got)
    );
    assert!(names(&got).contains(&"delta"), "{:?}", names(&got));
    assert_eq!(got.last().map(|got| got.name.as_str()), Some("completed"));
    for got in &got {
        assert_eq!(got.name, got.event.kind());
    }
    let before_the_end = got.len() - 1;
    assert_eq!(
        text(&got[..before_the_end]),
        SAID,
        "the deltas alone add up to it too"
    );
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn wherever_a_reader_resumes_it_shows_the_same(setup: Setup) -> Result<()> {
    let asked = setup.say(SAID).await?;
    let whole = read(&setup, &asked.correlation_id, None).await?;
    for cut in 0..whole.len() {
        let seen = whole.get(cut).map_or(0, |got| got.id);
        let rest = read(&setup, &asked.correlation_id, Some(&seen.to_string())).await?;
        let mut shown = Transcript::default();
        whole[..=cut]
            .iter()
            .chain(&rest)
            .for_each(|got| shown.apply(&got.event));
        assert_eq!(shown.text(), SAID, "resumed behind {seen}");
        assert!(shown.is_finished());
    }
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn without_live_reports_the_store_tells_the_end(setup: Setup) -> Result<()> {
    let asked = setup.say("nothing is reported live about this").await?;
    let got = read(&setup, &asked.correlation_id, None).await?;
    assert_eq!(names(&got), ["snapshot", "completed"]);
    assert_eq!(text(&got), "nothing is reported live about this");

    let asked = setup.say("fail").await?;
    let got = read(&setup, &asked.correlation_id, None).await?;
    assert_eq!(names(&got), ["failed"]);
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn after_a_restart_of_everything_the_text_is_the_same(setup: Setup) -> Result<()> {
    let asked = setup.say(SAID).await?;
    setup.ended(&asked.correlation_id).await?;
    let setup = setup.stop().await?.start().await?;
    let got = read(&setup, &asked.correlation_id, None).await?;
    assert_eq!(text(&got), SAID);
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_reader_that_waits_hears_an_end_the_live_stream_lost(
    setup: Setup,
) -> Result<()> {
    let asked = setup.say("wait").await?;
    let reader = read(&setup, &asked.correlation_id, None);
    let canceller = async {
        // Only once the reader listens does it matter that the store wakes it.
        let listens = async {
            while !reading(&setup, RunId(asked.run_id)).await? {
                tokio::task::yield_now().await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(Duration::from_secs(5), listens).await??;
        setup.delete(&asked.correlation_id).await?;
        anyhow::Ok(())
    };
    let (got, cancelled) = tokio::join!(reader, canceller);
    cancelled?;
    assert_eq!(names(&got?), ["status", "failed"]);
    setup.stop().await?;
    Ok(())
}

/// Reports something live; whether the message was taken by then.
async fn reading(setup: &Setup, run: RunId) -> Result<bool> {
    if setup.seen.texts().is_empty() {
        return Ok(false);
    }
    let status = LiveEvent::Status {
        step: 1,
        status: "thinking".into(),
    };
    nexus_service_kit::report(setup.bus(), run, &status).await;
    Ok(true)
}

/// Reads a stream to its end, and acts on every tool call that waits; the names of the events.
async fn acting(
    setup: &Setup,
    id: &str,
    act: impl AsyncFn(&str) -> Result<()>,
) -> Result<Vec<String>> {
    let response = setup.events(id, None).await?.error_for_status()?;
    let mut events = response.bytes_stream().eventsource();
    let mut shown = Vec::new();
    let reading = async {
        while let Some(event) = events.next().await {
            let event = event?;
            if event.event == "approval" {
                let event: Value = serde_json::from_str(&event.data)?;
                act(event["request"]["approval_id"].as_str().unwrap_or_default()).await?;
            }
            shown.push(event.event);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, reading).await??;
    Ok(shown)
}

pub(crate) async fn a_tool_call_that_waits_is_shown_once_live_or_not(setup: Setup) -> Result<()> {
    for text in ["approve this", "quietly approve this"] {
        let asked = setup.say(text).await?;
        let shown = acting(&setup, &asked.correlation_id, async |id| {
            let yes = json!({ "decision": "approve" });
            let path = format!("/v1/approvals/{id}");
            good(setup.post_to(&path, &yes, None).await?, 200).await?;
            Ok(())
        })
        .await?;
        assert_eq!(shown, ["approval", "snapshot", "completed"], "{text}");
    }
    // A reader that comes while it waits sees it, whatever became of the live report.
    let asked = setup.say("quietly").await?;
    setup.open_approvals(1).await?;
    let shown = acting(&setup, &asked.correlation_id, async |_| {
        let cancelled = setup.delete(&asked.correlation_id).await?;
        cancelled.error_for_status()?;
        Ok(())
    })
    .await?;
    assert_eq!(shown, ["approval", "failed"]);
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn an_event_that_is_none_is_refused(setup: Setup) -> Result<()> {
    let asked = setup.say("hello").await?;
    for after in ["abc", "-1", "1.5", "99999999999999999999999"] {
        let response = setup.events(&asked.correlation_id, Some(after)).await?;
        let (status, said) = problem(response).await?;
        assert_eq!(
            (status, said["code"].as_str()),
            (400, Some("bad_last_event_id")),
            "{after}"
        );
    }
    setup.stop().await?;
    Ok(())
}
