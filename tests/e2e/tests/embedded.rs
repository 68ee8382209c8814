//! The first five minutes: one command, a question, and a look at what happened.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_e2e::cluster::Cluster;
use nexus_e2e::http;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-under-test");

fn embedded() -> Result<Cluster> {
    let cluster = Cluster::new(PROGRAM, "embedded:bus.db")?;
    Ok(cluster)
}

#[tokio::test]
async fn a_question_beside_a_running_node_passes_every_hop_under_one_correlation_id() -> Result<()>
{
    let mut cluster = embedded()?;
    cluster.up().await?;
    let answer = cluster
        .ask("What is 37 * 43?")
        .await
        .with_context(|| cluster.output())?;
    let text = answer["text"].as_str().context("text")?;
    ensure!(text.replace(',', "").contains("1591"), "{text}");
    for key in [
        "correlation_id",
        "conversation_id",
        "provider",
        "model",
        "usage",
    ] {
        ensure!(!answer[key].is_null(), "no {key} in {answer}");
    }
    let id = answer["correlation_id"]
        .as_str()
        .context("correlation_id")?;
    let trace = cluster.run(&["trace", id]).await?;
    let hops = [
        "message.submitted",
        "message.accepted",
        "inference.requested",
        "inference.completed",
        "tool.requested",
        "tool.completed",
        "message.completed",
        "receipt.recorded",
    ];
    // A receipt confirms many answers at once, so it has no single correlation id.
    for hop in hops.iter().filter(|hop| **hop != "receipt.recorded") {
        ensure!(trace.contains(hop), "{hop} is not in\n{trace}");
    }
    ensure!(
        trace.matches("inference.requested").count() == 2,
        "two model calls:\n{trace}"
    );
    Ok(())
}

#[tokio::test]
async fn a_question_without_a_node_starts_one() -> Result<()> {
    let cluster = embedded()?;
    let answer = cluster.ask("What is 37 * 43?").await?;
    ensure!(
        answer["text"]
            .as_str()
            .is_some_and(|text| text.replace(',', "").contains("1591"))
    );
    ensure!(answer["provider"] == "demo", "{answer}");
    Ok(())
}

#[tokio::test]
async fn doctor_workers_and_tail_tell_what_is_there() -> Result<()> {
    let mut cluster = embedded()?;
    cluster.up().await?;
    cluster.ask("hello").await?;
    let doctor = cluster.run(&["doctor"]).await?;
    ensure!(doctor.contains("ok"), "{doctor}");
    let workers: Value = serde_json::from_str(&cluster.run(&["workers", "--json"]).await?)?;
    ensure!(workers.to_string().contains("orchestrator"), "{workers}");
    let providers = cluster.run(&["providers"]).await?;
    ensure!(providers.contains("answers by default"), "{providers}");
    let models: Value = serde_json::from_str(&cluster.run(&["models", "--json"]).await?)?;
    ensure!(models.to_string().contains("demo-1"), "{models}");
    let models = cluster.run(&["models"]).await?;
    ensure!(models.contains("demo-embed-1"), "{models}");
    ensure!(models.contains("makes vectors by default"), "{models}");
    let tested = cluster.run(&["providers", "test", "demo"]).await?;
    ensure!(tested.contains("demo-1 answered"), "{tested}");
    let tail = cluster
        .run(&["tail", "--no-follow", "--since", "1h"])
        .await?;
    ensure!(tail.contains("message.completed"), "{tail}");
    Ok(())
}

#[tokio::test]
async fn a_conversation_goes_on_and_another_one_is_not_found() -> Result<()> {
    let mut cluster = embedded()?;
    cluster.up().await?;
    let client = http::client(Duration::from_secs(30))?;
    let url = cluster.url();
    let first = cluster.ask("My name is Ada.").await?;
    let conversation = first["conversation_id"]
        .as_str()
        .context("conversation_id")?;
    let body = json!({ "text": "What is my name?", "conversation_id": conversation });
    let id = http::submit(&client, &url, "second", &body).await?;
    let answer = client
        .get(format!("{url}/v1/messages/{id}?wait=20s"))
        .send()
        .await?;
    let answer: Value = answer.json().await?;
    ensure!(
        answer["text"]
            .as_str()
            .is_some_and(|text| text.contains("Ada")),
        "{answer}"
    );
    // Only the orchestrator knows which conversations there are.
    let strange = json!({ "text": "hi", "conversation_id": uuid::Uuid::now_v7() });
    let id = http::submit(&client, &url, "third", &strange).await?;
    let failed = client
        .get(format!("{url}/v1/messages/{id}?wait=20s"))
        .send()
        .await?;
    let failed: Value = failed.json().await?;
    let code = failed.pointer("/error/code");
    ensure!(code == Some(&json!("unknown_conversation")), "{failed}");
    let refused = client
        .post(format!("{url}/v1/messages"))
        .json(&json!({ "text": "hi", "sampels": 3 }))
        .send()
        .await?;
    ensure!(refused.status().as_u16() == 422, "{}", refused.status());
    let malformed = client
        .get(format!("{url}/v1/messages/%00%ff"))
        .send()
        .await?;
    ensure!(malformed.status().as_u16() == 400, "{}", malformed.status());
    for answer in [&refused, &malformed] {
        let kind = answer.headers()["content-type"].to_str()?;
        ensure!(kind.starts_with("application/problem+json"), "{kind}");
    }
    Ok(())
}
