//! Every dialect over real HTTP, from bodies as the providers' documentation shows them, cut in two at
//! every byte.

mod expected;
mod server;
mod vectors;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::ModelParameters;
use nexus_provider_router::assembler::Answer;
use nexus_provider_router::provider::{
    ChatRequest, DeltaSink, FailureClass, Origin, ProviderFailure,
};
use nexus_provider_router::registry::Registry;
use nexus_provider_router::registry::file::ProvidersFile;
use secrecy::SecretString;
use serde_json::{Value, json};

use expected::{CASES, Case};
use server::{Body, Server};

/// Must never show up anywhere.
const CANARY: &str = "sk-canary-0123456789";

struct Text(String);

#[async_trait]
impl DeltaSink for Text {
    async fn delta(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

fn registry(kind: &str, base_url: &str) -> Result<Registry> {
    let text = format!(
        "providers: {{it: {{type: {kind}, base_url: \"{base_url}\", api_key_env: KEY, model: m-1}}}}"
    );
    let file = ProvidersFile::parse(&text, "test")?;
    Ok(Registry::build(&file, &|_| {
        Some(SecretString::from(CANARY))
    })?)
}

async fn ask(registry: &Registry) -> Result<(Answer, String), ProviderFailure> {
    let request = ChatRequest {
        id: "cmd".to_owned(),
        model: "m-1".to_owned(),
        messages: vec![ChatMessage::text(Role::User, "Hello?")],
        tools: Vec::new(),
        parameters: ModelParameters::default(),
        origin: Origin::default(),
    };
    let configured = registry.find(None)?;
    let provider = configured.provider.as_deref().map_err(Clone::clone)?;
    let mut text = Text(String::new());
    let answer = provider.chat(&request, &mut text).await?;
    Ok((answer, text.0))
}

fn shown(answer: &Answer) -> Value {
    json!({
        "message": answer.message,
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
        "model": answer.model,
        "metadata": answer.metadata,
    })
}

async fn reads_however_it_is_cut(case: &Case) -> Result<()> {
    let bytes = case.body.as_bytes();
    let server = Server::start(move |number| Body::Cut(bytes, number % bytes.len())).await?;
    let registry = registry(case.kind, &server.base_url())?;
    let expected = (case.answer)();
    for at in 0..bytes.len() {
        let (answer, heard) = ask(&registry)
            .await
            .with_context(|| format!("cut at {at}"))?;
        ensure!(
            heard == answer.message.content,
            "cut at {at}: heard {heard:?}"
        );
        let shown = shown(&answer);
        ensure!(
            shown == expected,
            "cut at {at}: {shown:#}\ninstead of {expected:#}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn answers_are_read_however_they_are_cut() -> Result<()> {
    for case in CASES {
        let read = reads_however_it_is_cut(case).await;
        read.with_context(|| case.name.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() -> Result<()> {
    for case in CASES {
        let bytes = case.body.as_bytes();
        let end = case.unfinished().context("no finish")?;
        let server = Server::start(move |number| Body::Until(bytes, number * 7 % end)).await?;
        let registry = registry(case.kind, &server.base_url())?;
        for at in 0..end / 7 {
            let Err(failure) = ask(&registry).await else {
                anyhow::bail!("{}: an answer from {} bytes", case.name, at * 7);
            };
            ensure!(
                failure.class == FailureClass::Interrupted,
                "{}: {failure}",
                case.name
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn refusals_fall_into_classes_and_do_not_show_the_key() -> Result<()> {
    for (kind, status, body, class) in expected::REFUSALS {
        let server = Server::start(move |_| Body::Status(*status, body)).await?;
        let registry = registry(kind, &server.base_url())?;
        let Err(failure) = ask(&registry).await else {
            anyhow::bail!("{kind} {status}: an answer");
        };
        ensure!(
            failure.class == *class,
            "{kind} {status}: {:?}: {failure}",
            failure.class
        );
        ensure!(!failure.to_string().contains(CANARY), "{failure}");
    }
    Ok(())
}

#[tokio::test]
async fn errors_inside_a_stream_fall_into_classes() -> Result<()> {
    for (kind, body, class) in expected::BROKEN {
        let server = Server::start(move |_| Body::Cut(body.as_bytes(), 0)).await?;
        let registry = registry(kind, &server.base_url())?;
        let Err(failure) = ask(&registry).await else {
            anyhow::bail!("{kind}: an answer");
        };
        ensure!(
            failure.class == *class,
            "{kind}: {:?}: {failure}",
            failure.class
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_question_and_the_key_go_where_the_dialect_says() -> Result<()> {
    let bearer = format!("Bearer {CANARY}");
    for (kind, path, header, value) in [
        (
            "openai",
            "chat/completions",
            "authorization",
            bearer.as_str(),
        ),
        ("anthropic", "messages", "x-api-key", CANARY),
        (
            "gemini",
            "models/m-1:streamGenerateContent?alt=sse",
            "x-goog-api-key",
            CANARY,
        ),
    ] {
        let server = Server::start(|_| Body::Status(500, "")).await?;
        let registry = registry(kind, &server.base_url())?;
        ensure!(ask(&registry).await.is_err());
        let heads = server.heads();
        let head = heads.first().context("no request")?;
        let line = format!("POST /v1/{path} HTTP/1.1\r\n");
        ensure!(head.starts_with(&line), "{kind}: {:?}", head.lines().next());
        let line = format!("{header}: {value}\r\n");
        ensure!(head.contains(&line), "{kind}: no {header} in its head");
        let others = head.matches(CANARY).count();
        ensure!(others == 1, "{kind}: the key is sent {others} times");
    }
    Ok(())
}
