//! The `openai` kind against a server that behaves, and one that does not.

use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, ToolSpec, Usage};
use nexus_contracts::events::ModelParameters;
use nexus_provider_router::doctor::{Depth, check_all};
use nexus_provider_router::provider::{
    ChatRequest, DeltaSink, FailureClass, Origin, ProviderFailure,
};
use nexus_provider_router::registry::Registry;
use nexus_provider_router::registry::file::ProvidersFile;
use nexus_testkit::openai::{FakeOpenAi, Script, ToolCall as FakeCall};
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Must never show up anywhere.
const CANARY: &str = "sk-canary-0123456789";

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

struct Words(mpsc::UnboundedSender<String>);

#[async_trait]
impl DeltaSink for Words {
    async fn delta(&mut self, text: &str) {
        drop(self.0.send(text.to_owned()));
    }
}

fn registry(base_url: &str, more: &str) -> Result<Registry> {
    nexus_service_kit::telemetry::install_tls();
    let text = format!(
        "providers: {{it: {{type: openai, base_url: \"{base_url}\", api_key_env: KEY, model: m, \
         headers: {{x-org: canary-header-77}}{more}}}}}"
    );
    let file = ProvidersFile::parse(&text, "providers.yaml")?;
    Ok(Registry::build(&file, &|_| {
        Some(SecretString::from(CANARY))
    })?)
}

fn request() -> ChatRequest {
    ChatRequest {
        id: "command".to_owned(),
        model: "m".to_owned(),
        messages: vec![ChatMessage::text(Role::User, "Hi")],
        tools: Vec::new(),
        parameters: ModelParameters::default(),
        origin: Origin::default(),
    }
}

/// One call, and what was heard.
async fn call(
    registry: &Registry,
    request: &ChatRequest,
) -> Result<(
    Result<nexus_provider_router::assembler::Answer, ProviderFailure>,
    Vec<String>,
)> {
    let provider = registry
        .find(None)?
        .provider
        .as_ref()
        .map_err(Clone::clone)?;
    let (words, mut heard) = mpsc::unbounded_channel();
    let answer = timeout(PATIENCE, provider.chat(request, &mut Words(words))).await?;
    let heard = std::iter::from_fn(|| heard.try_recv().ok()).collect();
    Ok((answer, heard))
}

#[tokio::test]
async fn an_answer_streams_and_the_request_is_whole() -> Result<()> {
    let fake = FakeOpenAi::start().await?;
    fake.push(Script::tokens(["Grü", "ße ", "🦀"]).usage(3, 4));
    let registry = registry(&fake.base_url(), "")?;
    let mut asked = request();
    asked.parameters.temperature = Some(0.0);
    asked.parameters.max_tokens = Some(9);
    asked.parameters.extra.insert("seed".to_owned(), json!(7));
    asked.tools.push(ToolSpec {
        name: "t".to_owned(),
        description: "d".to_owned(),
        parameters: json!({"type": "object"}),
        extra: [].into(),
    });
    let (answer, heard) = call(&registry, &asked).await?;
    let answer = answer?;
    assert_eq!(heard, ["Grü", "ße ", "🦀"]);
    assert_eq!(answer.message.content, "Grüße 🦀");
    assert_eq!(answer.usage, Usage::of(3, 4));
    assert_eq!(answer.model.as_deref(), Some("m"));
    let received = fake.received();
    let received = received.first().context("one request")?;
    assert_eq!(
        received.headers["authorization"],
        format!("Bearer {CANARY}").as_str()
    );
    assert_eq!(received.headers["x-org"], "canary-header-77");
    assert_eq!(received.body["seed"], 7);
    assert_eq!(received.body["max_tokens"], 9);
    assert_eq!(received.body["tools"][0]["function"]["name"], "t");
    Ok(())
}

#[tokio::test]
async fn words_are_heard_as_they_come() -> Result<()> {
    let fake = FakeOpenAi::start().await?;
    let (script, gate) = Script::tokens(["one ", "two ", "three"]).gated();
    fake.push(script);
    let registry = registry(&fake.base_url(), "")?;
    let provider = registry
        .find(None)?
        .provider
        .as_ref()
        .map_err(Clone::clone)?;
    let (words, mut heard) = mpsc::unbounded_channel();
    let asked = request();
    let mut sink = Words(words);
    let watching = async {
        for word in ["one ", "two ", "three"] {
            gate.open(1);
            assert_eq!(
                timeout(PATIENCE, heard.recv()).await?.as_deref(),
                Some(word)
            );
            assert!(heard.try_recv().is_err(), "nothing before the gate opens");
        }
        gate.open_all();
        anyhow::Ok(())
    };
    let (answer, watched) = timeout(PATIENCE, async {
        tokio::join!(provider.chat(&asked, &mut sink), watching)
    })
    .await?;
    watched?;
    assert_eq!(answer?.message.content, "one two three");
    Ok(())
}

#[tokio::test]
async fn split_tool_calls_are_put_together() -> Result<()> {
    let fake = FakeOpenAi::start().await?;
    let wanted = [
        ("a", "math_solver", r#"{"expression":"37 * 43"}"#),
        ("b", "clock", ""),
    ];
    let calls = wanted.map(|(id, name, arguments)| FakeCall::new(id, name, arguments));
    fake.push(Script::tool_calls(&calls, 3));
    let (answer, heard) = call(&registry(&fake.base_url(), "")?, &request()).await?;
    let answer = answer?;
    assert_eq!(heard, Vec::<String>::new());
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    let arguments = [r#"{"expression":"37 * 43"}"#, "{}"];
    let expected: Vec<ToolCall> = wanted
        .iter()
        .zip(arguments)
        .map(|((id, name, _), arguments)| ToolCall {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            arguments: arguments.to_owned(),
        })
        .collect();
    assert_eq!(answer.message.tool_calls, expected);
    Ok(())
}

#[tokio::test]
async fn every_failure_has_its_class_and_none_shows_a_secret() -> Result<()> {
    let fake = FakeOpenAi::start().await?;
    let quick = ", timeouts: {first_byte: 300ms, idle: 300ms}";
    let registry = registry(&fake.base_url(), quick)?;
    let echo = format!("bad key {CANARY} of canary-header-77");
    let text = || Script::tokens(["a ", "b ", "c "]);
    let error = r#"data: {"error":{"message":"busy","code":503}}"#.to_owned() + "\n\n";
    let leak = format!("data: {{\"error\":\"{echo}\"}}\n\n");
    for (script, class) in [
        (Script::error(401, &echo), FailureClass::Unauthorized),
        (Script::error(403, &echo), FailureClass::Unauthorized),
        (Script::error(404, &echo), FailureClass::UnknownModel),
        (Script::error(400, &echo), FailureClass::BadRequest),
        (Script::rate_limited(3), FailureClass::RateLimited),
        (Script::error(500, &echo), FailureClass::Unavailable),
        (
            Script::refuse(503, "x".repeat(500_000)),
            FailureClass::Unavailable,
        ),
        (Script::hang(), FailureClass::TimedOut),
        (Script::reset(), FailureClass::Interrupted),
        (text().cut_after(0), FailureClass::Interrupted),
        (text().cut_after(2), FailureClass::Interrupted),
        (text().hang_after(2), FailureClass::TimedOut),
        (text().raw_after(1, &error), FailureClass::Unavailable),
        (Script::garbage(&leak), FailureClass::Unavailable),
        (Script::garbage("data: <html>\n\n"), FailureClass::Garbled),
        (
            Script::garbage("<html>oops</html>"),
            FailureClass::Interrupted,
        ),
        (Script::garbage(""), FailureClass::Interrupted),
    ] {
        let named = format!("{script:?}");
        fake.push(script);
        let (answer, _) = call(&registry, &request()).await?;
        let failure = answer.err().with_context(|| named.clone())?;
        assert_eq!(failure.class, class, "{named}: {failure}");
        let shown = format!("{failure} {failure:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("it"), "names the provider: {shown}");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_provider_asks_for_is_passed_on() -> Result<()> {
    let fake = FakeOpenAi::start().await?;
    fake.push(Script::rate_limited(3));
    let (answer, _) = call(&registry(&fake.base_url(), "")?, &request()).await?;
    let failure = answer.err().context("rate limited")?;
    assert_eq!(failure.retry_after, Some(Duration::from_secs(3)));
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    drop(listener);
    let registry = registry(&format!("http://{address}/v1"), "")?;
    let (answer, _) = call(&registry, &request()).await?;
    let failure = answer.err().context("nobody is there")?;
    assert_eq!(failure.class, FailureClass::Unreachable);
    assert!(failure.detail.contains(&address.to_string()), "{failure}");
    let lines = check_all(&registry, Depth::Ask).await;
    assert!(
        lines
            .iter()
            .all(|line| !line.ok && line.detail.contains("base_url")),
        "{lines:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_doctor_looks_and_on_request_asks() -> Result<()> {
    let fake = FakeOpenAi::start().await?;
    let registry = registry(&fake.base_url(), "")?;
    let lines = check_all(&registry, Depth::Reach).await;
    assert!(lines.iter().all(|line| line.ok), "{lines:?}");
    assert!(fake.received().is_empty());
    fake.push(Script::text("ok").usage(2, 1));
    let lines = check_all(&registry, Depth::Ask).await;
    let line = lines.first().context("one line")?;
    assert!(
        line.ok && line.detail.contains("m answered (3 tokens)"),
        "{line:?}"
    );
    fake.push(Script::error(401, "no"));
    let lines = check_all(&registry, Depth::Ask).await;
    assert!(
        lines
            .iter()
            .all(|line| !line.ok && line.detail.contains("api_key_env")),
        "{lines:?}"
    );
    Ok(())
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let registry = registry(&format!("http://{}/v1", listener.local_addr()?), "")?;
    let server = async {
        let (mut stream, _) = listener.accept().await?;
        let mut sent = vec![0; 4096];
        let length = stream.read(&mut sent).await?;
        sent.truncate(length);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        let word = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
        stream.write_all(format!("{head}{word}").as_bytes()).await?;
        // Everything the client sent, until it closes.
        stream.read_to_end(&mut sent).await?;
        anyhow::Ok(sent)
    };
    let provider = registry
        .find(None)?
        .provider
        .as_ref()
        .map_err(Clone::clone)?;
    let (words, mut heard) = mpsc::unbounded_channel();
    let client = async {
        let asked = request();
        let mut sink = Words(words);
        tokio::select! {
            answer = provider.chat(&asked, &mut sink) => anyhow::bail!("ended by itself: {answer:?}"),
            word = heard.recv() => word.context("a first word"),
        }
    };
    let (sent, word) = timeout(PATIENCE, async { tokio::join!(server, client) }).await?;
    assert_eq!(word?, "Hi");
    assert!(String::from_utf8_lossy(&sent?).starts_with("POST /v1/chat/completions"));
    Ok(())
}

#[tokio::test]
async fn several_keys_take_turns_and_one_that_is_used_up_rests() -> Result<()> {
    nexus_service_kit::telemetry::install_tls();
    let fake = FakeOpenAi::start().await?;
    let text = format!(
        "providers: {{it: {{type: openai, base_url: \"{}\", api_key_env: [ONE, TWO, NOT_SET]}}}}",
        fake.base_url()
    );
    let file = ProvidersFile::parse(&text, "providers.yaml")?;
    let registry = Registry::build(&file, &|name| match name {
        "ONE" => Some(SecretString::from("sk-canary-one-1")),
        "TWO" => Some(SecretString::from("sk-canary-two-2")),
        _ => None,
    })?;
    fake.push(Script::error(429, "of sk-canary-one-1 there were too many"));
    for _ in 0..3 {
        fake.push(Script::text("Hi"));
    }
    let (first, _) = call(&registry, &request()).await?;
    let failure = first.err().context("it is limited")?;
    anyhow::ensure!(failure.another_key, "the loop is told to try again at once");
    anyhow::ensure!(!failure.detail.contains("canary"), "{failure}");
    for _ in 0..3 {
        call(&registry, &request()).await?.0?;
    }
    let received = fake.received();
    let keys = received.iter().map(|one| one.headers.get("authorization"));
    let keys: Option<Vec<&str>> = keys.map(|key| key?.to_str().ok()).collect();
    let two = "Bearer sk-canary-two-2";
    anyhow::ensure!(
        keys == Some(vec!["Bearer sk-canary-one-1", two, two, two]),
        "{keys:?}"
    );
    Ok(())
}
