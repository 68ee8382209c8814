//! A provider that speaks the `OpenAI` dialect: its tokens stream through as they come.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use eventsource_stream::Eventsource;
use futures::{Stream, StreamExt};
use nexus_e2e::cluster::Cluster;
use nexus_e2e::http;
use nexus_testkit::openai::{FakeOpenAi, Script, ToolCall};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-under-test");
const PATIENCE: Duration = Duration::from_secs(20);

async fn cluster_with(provider: &FakeOpenAi) -> Result<Cluster> {
    let mut cluster = Cluster::new(PROGRAM, "embedded:bus.db")?;
    let providers = format!(
        "default: demo
providers:
  demo: {{ type: demo }}
  fake: {{ type: openai, base_url: \"{}\", model: fake-1, api_key_env: PATH }}
",
        provider.base_url()
    );
    cluster.write("providers.yaml", &providers)?;
    cluster.up().await?;
    Ok(cluster)
}

/// One event: name, id, data.
type Event = (String, String, Value);

async fn events(
    url: &str,
    after: Option<&str>,
) -> Result<impl Stream<Item = Result<Event>> + Unpin + use<>> {
    let client = http::client(PATIENCE)?;
    let mut request = client.get(url);
    if let Some(id) = after {
        request = request.header("last-event-id", id);
    }
    let response = request.send().await?;
    ensure!(response.status().is_success(), "{}", response.status());
    let stream = response.bytes_stream().eventsource();
    Ok(Box::pin(stream.map(|event| {
        let event = event?;
        Ok((event.event, event.id, serde_json::from_str(&event.data)?))
    })))
}

/// What a reader shows: deltas append, snapshots replace, the end is the end.
async fn rest(
    mut text: String,
    stream: impl Stream<Item = Result<Event>> + Unpin,
) -> Result<(String, String)> {
    let mut stream = stream;
    while let Some(event) = tokio::time::timeout(PATIENCE, stream.next()).await? {
        let (name, _, data) = event?;
        match name.as_str() {
            "delta" => text.push_str(data.get("text").and_then(Value::as_str).context("delta")?),
            "snapshot" => {
                text = data
                    .get("text")
                    .and_then(Value::as_str)
                    .context("snapshot")?
                    .to_owned();
            }
            "completed" => {
                let message = data.get("message").unwrap_or(&data);
                return Ok((
                    text,
                    message
                        .get("text")
                        .and_then(Value::as_str)
                        .context("completed")?
                        .to_owned(),
                ));
            }
            "failed" => anyhow::bail!("{data}"),
            _ => {}
        }
    }
    anyhow::bail!("the stream ended before the run")
}

#[tokio::test]
async fn tokens_stream_as_they_come_and_a_reload_gives_the_same_text() -> Result<()> {
    let provider = FakeOpenAi::start().await?;
    let words = ["Der ", "schöne ", "Käse ", "世界 ", "🙂 ", "ends."];
    let (script, gate) = Script::tokens(words).gated();
    provider.push(script);
    let cluster = cluster_with(&provider).await?;
    let client = http::client(PATIENCE)?;
    let body = json!({ "text": "talk", "provider": "fake" });
    let id = http::submit(&client, &cluster.url(), "stream", &body).await?;
    let url = format!("{}/v1/messages/{id}/events", cluster.url());

    let mut stream = events(&url, None).await?;
    gate.open(4);
    let mut shown = String::new();
    let mut last = String::new();
    // The provider is held here: what is seen came through before the answer ended.
    while !shown.contains("schöne") {
        let event = tokio::time::timeout(PATIENCE, stream.next())
            .await?
            .context("an event")?;
        let (name, event_id, data) = event?;
        if matches!(name.as_str(), "delta" | "snapshot") {
            let text = data.get("text").and_then(Value::as_str).context("text")?;
            shown = if name == "delta" {
                format!("{shown}{text}")
            } else {
                text.to_owned()
            };
        }
        last = event_id;
    }
    drop(stream);
    let resumed = events(&url, Some(&last)).await?;
    let reloaded = events(&url, None).await?;
    gate.open_all();
    let expected = words.concat();
    let (text, completed) = rest(shown, resumed).await?;
    ensure!(completed == expected, "{completed}");
    ensure!(text == expected, "resumed: {text}");
    let (text, _) = rest(String::new(), reloaded).await?;
    ensure!(text == expected, "reloaded: {text}");
    let (text, _) = rest(String::new(), events(&url, None).await?).await?;
    ensure!(text == expected, "read after the end: {text}");
    Ok(())
}

#[tokio::test]
async fn tool_calls_split_over_many_chunks_are_put_together() -> Result<()> {
    let provider = FakeOpenAi::start().await?;
    let calls = [
        ToolCall::new("call_a", "math_solver", "{\"expression\":\"37 * 43\"}"),
        ToolCall::new("call_b", "current_time", "{}"),
    ];
    provider.push(Script::tool_calls(&calls, 3));
    provider.push(Script::text("It is 1591, and late."));
    let cluster = cluster_with(&provider).await?;
    let client = http::client(PATIENCE)?;
    let body = json!({ "text": "calculate", "provider": "fake" });
    let id = http::submit(&client, &cluster.url(), "tools", &body).await?;
    let answer = client
        .get(format!("{}/v1/messages/{id}?wait=15s", cluster.url()))
        .send()
        .await?;
    let answer: Value = answer.json().await?;
    ensure!(
        answer["text"] == "It is 1591, and late.",
        "{answer}\n{}",
        cluster.output()
    );
    let received = provider.received();
    let second = &received.last().context("two calls")?.body;
    let messages = second["messages"].as_array().context("messages")?;
    let results: Vec<&Value> = messages.iter().filter(|m| m["role"] == "tool").collect();
    ensure!(results.len() == 2, "{second}");
    ensure!(results[0]["tool_call_id"] == "call_a", "{second}");
    ensure!(
        results[0]["content"]
            .as_str()
            .is_some_and(|text| text.contains("1591")),
        "{second}"
    );
    Ok(())
}
