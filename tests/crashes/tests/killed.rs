//! `kill -9` of the tool executor inside a tool, after its effect and before its result is stored.

#![expect(
    clippy::indexing_slicing,
    reason = "an absent field of a JSON value is null"
)]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_crash_tests::effects::{DONE, effects, registered};
use nexus_crash_tests::points::Fault;
use nexus_crash_tests::rig::SETTINGS;
use nexus_crash_tests::switches::Switches;
use nexus_e2e::cluster::Cluster;
use nexus_e2e::http;
use nexus_testkit::openai::{FakeOpenAi, Script, ToolCall};
use nexus_testkit::wait_for;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-that-dies");
const PATIENCE: Duration = Duration::from_secs(30);
const EXECUTOR: &str = "tool-executor";

/// Longer than any test: who waits here is killed.
const FOR_EVER: &str = "1*return(delay:600000)";

/// The model asks for a tool, the executor is killed inside, and starts again. What the model is told
/// of the call, and the folder.
async fn killed_inside(tool: &str) -> Result<(String, Cluster)> {
    let server = nexus_testkit::redis().await?;
    let model = FakeOpenAi::start().await?;
    let mut cluster = Cluster::new(PROGRAM, &server.url())?;
    SETTINGS.iter().for_each(|setting| cluster.set(setting));
    let providers = format!(
        "default: it\nproviders: {{ it: {{ type: openai, base_url: \"{}\", model: m }} }}\n",
        model.base_url()
    );
    cluster.write("providers.yaml", &providers)?;
    model.push(Script::text("hello"));
    cluster.separate().await?;

    let client = http::client(PATIENCE)?;
    let switches = Switches::of(&cluster, EXECUTOR, &client).await?;
    switches.set(DONE, FOR_EVER).await?;
    let arguments = json!({ "text": "a line" }).to_string();
    model.push(Script::tool_calls(
        &[ToolCall::new("c1", tool, &arguments)],
        20,
    ));
    model.push(Script::text("done"));
    let url = cluster.url();
    let id = http::submit(&client, &url, "key", &json!({ "text": "write a line" })).await?;
    switches.wait(DONE, Fault::Delay, 0).await?;
    cluster.kill(EXECUTOR).await?;
    cluster.start(EXECUTOR)?;
    let ended = wait_for(PATIENCE, "the answer", async || {
        let message = http::message(&client, &url, &id).await?;
        let over = matches!(message["status"].as_str(), Some("completed" | "failed"));
        Ok(over.then_some(message))
    })
    .await
    .with_context(|| cluster.output())?;
    ensure!(ended["status"] == "completed", "{ended}");
    let last = model.received().pop().context("the model was asked")?;
    let messages = last.body["messages"].as_array().context("messages")?;
    let told = messages.iter().find(|message| message["role"] == "tool");
    let told = told.and_then(|told| told["content"].as_str());
    Ok((told.context("a result")?.to_owned(), cluster))
}

#[tokio::test]
async fn an_at_most_once_tool_has_one_effect_and_the_model_is_told_that_nobody_knows() -> Result<()>
{
    let (told, cluster) = killed_inside("append").await?;
    ensure!(told.contains("unknown_outcome"), "{told}");
    let effects = effects(cluster.path())?;
    ensure!(effects == [("a line".to_owned(), 1)].into(), "{effects:?}");
    Ok(())
}

#[tokio::test]
async fn an_idempotent_tool_runs_again_and_has_one_effect() -> Result<()> {
    let (told, cluster) = killed_inside("register").await?;
    let told: Value = serde_json::from_str(&told).context(told)?;
    ensure!(
        told == json!({ "registered": "a line", "before": true }),
        "{told}"
    );
    let registered = registered(cluster.path())?;
    ensure!(registered == ["a line"], "{registered:?}");
    Ok(())
}
