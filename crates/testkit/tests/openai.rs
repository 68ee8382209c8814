//! The fake model server says what its scripts say, when they say it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_testkit::openai::{FakeOpenAi, Script, ToolCall};
use nexus_testkit::{wait_for, wait_until};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(20);

/// A client with nothing in between: what it has is what came over the wire.
struct Client {
    stream: TcpStream,
    text: String,
}

impl Client {
    async fn post(fake: &FakeOpenAi, body: &Value) -> Result<Self> {
        let url = fake.base_url();
        let host = url.split('/').nth(2).context("a host in the URL")?;
        let mut stream = TcpStream::connect(host).await?;
        let body = body.to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\
             authorization: Bearer k\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        Ok(Self {
            stream,
            text: String::new(),
        })
    }

    /// Reads more; false at the end of the connection.
    async fn read(&mut self) -> Result<bool> {
        let mut chunk = [0; 4096];
        let read = tokio::time::timeout(SOON, self.stream.read(&mut chunk)).await??;
        self.text.push_str(&String::from_utf8_lossy(
            chunk.get(..read).unwrap_or_default(),
        ));
        Ok(read > 0)
    }

    async fn read_to_end(mut self) -> Result<String> {
        while self.read().await? {}
        Ok(self.text)
    }
}

fn streamed() -> Value {
    json!({ "model": "m", "stream": true, "stream_options": { "include_usage": true } })
}

/// The `delta`s among the events.
fn deltas(answer: &str) -> Vec<Value> {
    let events = answer
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"));
    events
        .filter_map(|event| serde_json::from_str::<Value>(&format!("{{{event}")).ok())
        .filter_map(|event| event.pointer("/choices/0/delta").cloned())
        .collect()
}

#[tokio::test]
async fn a_gate_holds_every_chunk_until_it_is_opened() -> Result<()> {
    let fake = FakeOpenAi::start().await?;
    let (script, gate) = Script::tokens(["one", "two"]).gated();
    fake.push(script);
    let mut client = Client::post(&fake, &streamed()).await?;
    for (token, next) in [("one", "two"), ("two", "[DONE]")] {
        gate.open(1);
        wait_for(SOON, token, async || {
            client.read().await?;
            Ok(client.text.contains(token).then_some(()))
        })
        .await?;
        ensure!(
            !client.text.contains(next),
            "{next} came before the gate was opened"
        );
    }
    gate.open_all();
    let answer = client.read_to_end().await?;
    ensure!(
        answer.contains("\"finish_reason\":\"stop\"") && answer.contains("[DONE]"),
        "{answer}"
    );
    ensure!(answer.contains("\"total_tokens\":18"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn parallel_tool_calls_come_in_pieces_that_take_turns() -> Result<()> {
    let fake = FakeOpenAi::start().await?;
    let calls = [
        ToolCall::new("a", "add", "{\"x\":1}"),
        ToolCall::new("b", "mul", "{\"y\":22}"),
    ];
    fake.push(Script::tool_calls(&calls, 3));
    fake.push(Script::tool_calls(&calls, 3));
    let answer = Client::post(&fake, &streamed())
        .await?
        .read_to_end()
        .await?;
    let mut arguments = [String::new(), String::new()];
    let mut order = Vec::new();
    for delta in deltas(&answer) {
        let piece = &delta["tool_calls"][0];
        let Some(index) = piece["index"].as_u64() else {
            continue;
        };
        order.push(index);
        let text = piece["function"]["arguments"]
            .as_str()
            .context("arguments")?;
        arguments
            .get_mut(usize::try_from(index)?)
            .context("two calls")?
            .push_str(text);
    }
    ensure!(arguments == ["{\"x\":1}", "{\"y\":22}"], "{arguments:?}");
    ensure!(order == [0, 1, 0, 1, 0, 1, 0, 1], "{order:?}");

    // The same script to a client that does not stream.
    let answer = Client::post(&fake, &json!({ "model": "m" }))
        .await?
        .read_to_end()
        .await?;
    let body: Value = serde_json::from_str(answer.rsplit("\r\n").next().context("a body")?)?;
    let whole = &body["choices"][0]["message"]["tool_calls"];
    ensure!(whole[1]["function"]["arguments"] == "{\"y\":22}", "{body}");
    ensure!(whole[0]["id"] == "a" && body["choices"][0]["finish_reason"] == "tool_calls");
    Ok(())
}

#[tokio::test]
async fn refusals_carry_status_and_retry_after() -> Result<()> {
    let fake = FakeOpenAi::start().await?;
    fake.push(Script::rate_limited(3));
    fake.push(Script::error(401, "Incorrect API key"));
    let limited = Client::post(&fake, &streamed())
        .await?
        .read_to_end()
        .await?;
    ensure!(
        limited.starts_with("HTTP/1.1 429") && limited.contains("retry-after: 3"),
        "{limited}"
    );
    let unknown = Client::post(&fake, &streamed())
        .await?
        .read_to_end()
        .await?;
    ensure!(unknown.starts_with("HTTP/1.1 401") && unknown.contains("Incorrect API key"));
    let empty = Client::post(&fake, &streamed())
        .await?
        .read_to_end()
        .await?;
    ensure!(
        empty.starts_with("HTTP/1.1 500") && empty.contains("no script left"),
        "{empty}"
    );
    let received = fake.wait_received(SOON, 3).await?;
    ensure!(
        received
            .iter()
            .all(|request| request.headers["authorization"] == "Bearer k")
    );
    ensure!(received.iter().all(|request| request.body["model"] == "m"));
    Ok(())
}

#[tokio::test]
async fn connections_break_where_the_script_says() -> Result<()> {
    let fake = FakeOpenAi::start().await?;
    fake.push(Script::text("one two three").cut_after(2));
    let cut = Client::post(&fake, &streamed()).await?.read_to_end().await;
    // The end of a chunked body is missing; the system may even report the reset.
    ensure!(
        cut.is_err() || cut.is_ok_and(|text| !text.ends_with("0\r\n\r\n")),
        "ended well"
    );

    fake.push(Script::reset());
    let reset = Client::post(&fake, &streamed())
        .await?
        .read_to_end()
        .await
        .unwrap_or_default();
    ensure!(reset.is_empty(), "a reset connection answered {reset}");

    fake.push(Script::text("one two").hang_after(1));
    let mut hanging = Client::post(&fake, &streamed()).await?;
    wait_until(SOON, "the first chunk", async || {
        hanging.read().await?;
        Ok(hanging.text.contains("one "))
    })
    .await?;
    let more = tokio::time::timeout(Duration::from_millis(100), hanging.read()).await;
    ensure!(more.is_err(), "something came after the silence began");
    Ok(())
}

#[tokio::test]
async fn an_answer_can_depend_on_the_request() -> Result<()> {
    let fake = FakeOpenAi::answering(|request| {
        Script::text(&format!(
            "{} messages",
            request["messages"].as_array().map_or(0, Vec::len)
        ))
    })
    .await?;
    fake.push(Script::garbage("<html>not events</html>"));
    let garbage = Client::post(&fake, &streamed())
        .await?
        .read_to_end()
        .await?;
    ensure!(garbage.contains("<html>") && fake.left() == 0, "{garbage}");
    let request = json!({ "stream": true, "messages": [{}, {}] });
    let answer = Client::post(&fake, &request).await?.read_to_end().await?;
    let text: String = deltas(&answer)
        .iter()
        .filter_map(|delta| delta["content"].as_str())
        .collect();
    ensure!(text == "2 messages", "{answer}");
    Ok(())
}
