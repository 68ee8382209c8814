//! A cancellation that comes when a worker has claimed its command and not yet begun.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_crash_tests::model::Model;
use nexus_crash_tests::points::Fault;
use nexus_crash_tests::rig::{Rig, Spread};
use nexus_e2e::http::{self, message, submit};
use nexus_e2e::questions::text;
use nexus_testkit::wait_until;
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-that-dies");

const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough for the cancellation to reach the worker meanwhile.
const HELD: &str = "2*return(delay:1500)";

/// Cancels a run while a command is held at this point; how often the model was asked, and the
/// tool ran.
async fn cancelled_at(service: &str, point: &str) -> Result<(usize, usize)> {
    let model = Arc::new(Model::start().await?);
    let mut rig = Rig::start(PROGRAM, "embedded:bus.db", Spread::Together, &model).await?;
    let number = rig.next_number();
    let switches = rig.switches(service).await?;
    switches.set(point, HELD).await?;
    let (client, url) = (http::client(PATIENCE)?, rig.url());
    let id = submit(&client, &url, "key", &json!({ "text": text(number) })).await?;
    switches.wait(point, Fault::Delay, 0).await?;
    let wish = client
        .delete(format!("{url}/v1/messages/{id}"))
        .send()
        .await?;
    ensure!(wish.status().is_success(), "{}", wish.status());
    wait_until(PATIENCE, "the end of the run", async || {
        let ended = message(&client, &url, &id).await?;
        let status = ended.get("status").and_then(serde_json::Value::as_str);
        ensure!(
            status == Some("failed") || status == Some("cancelled"),
            "{ended}"
        );
        Ok(ended.to_string().contains("cancelled"))
    })
    .await?;
    let effects = rig.effects(number)?;
    rig.finish().await?;
    Ok((model.calls(number), effects))
}

#[tokio::test]
async fn a_model_is_not_asked_for_a_run_cancelled_after_the_claim() -> Result<()> {
    let (calls, effects) = cancelled_at("provider-router", "provider-router.claimed").await?;
    assert_eq!((calls, effects), (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_tool_is_not_run_for_a_run_cancelled_after_the_claim() -> Result<()> {
    let (calls, effects) = cancelled_at("tool-executor", "tool-executor.claimed").await?;
    assert_eq!((calls, effects), (1, 0));
    Ok(())
}
