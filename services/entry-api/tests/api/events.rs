//! The event stream: as it happens, resumed, and after the fact.

use std::time::Duration;

use anyhow::{Context, Result};
use eventsource_stream::Eventsource;
use futures::StreamExt;
use nexus_contracts::RunId;
use nexus_contracts::live::LiveEvent;
use nexus_entry_api::transcript::Transcript;

use crate::node::{PATIENCE, Setup};

/// One event as a reader gets it.
struct Got {
    id: u64,
    name: String,
    event: LiveEvent,
}

/// Reads a stream to its end.
async fn read(setup: &Setup, id: &str, after: Option<u64>) -> Result<Vec<Got>> {
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

#[tokio::test]
async fn everything_is_reported_and_adds_up_to_the_answer() -> Result<()> {
    let setup = Setup::start().await?;
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

#[tokio::test]
async fn wherever_a_reader_resumes_it_shows_the_same() -> Result<()> {
    let setup = Setup::start().await?;
    let asked = setup.say(SAID).await?;
    let whole = read(&setup, &asked.correlation_id, None).await?;
    for cut in 0..whole.len() {
        let seen = whole.get(cut).map_or(0, |got| got.id);
        let rest = read(&setup, &asked.correlation_id, Some(seen)).await?;
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

#[tokio::test]
async fn without_live_reports_the_store_tells_the_end() -> Result<()> {
    let setup = Setup::start().await?;
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

#[tokio::test]
async fn after_a_restart_of_everything_the_text_is_the_same() -> Result<()> {
    let setup = Setup::start().await?;
    let asked = setup.say(SAID).await?;
    setup.ended(&asked.correlation_id).await?;
    let (folder, seen) = setup.stop().await?;
    let setup = Setup::again(folder, seen).await?;
    let got = read(&setup, &asked.correlation_id, None).await?;
    assert_eq!(text(&got), SAID);
    setup.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_reader_that_waits_hears_an_end_the_live_stream_lost() -> Result<()> {
    let setup = Setup::start().await?;
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
