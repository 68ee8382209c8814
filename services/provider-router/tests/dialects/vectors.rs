//! Texts into vectors, from bodies as the providers' documentation shows them.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nexus_provider_router::provider::{
    EmbedRequest, Embedded, FailureClass, Origin, ProviderFailure,
};
use serde_json::{Value, json};

use crate::server::{Body, Server};
use crate::{CANARY, expected, registry};

fn of(texts: &[&str]) -> EmbedRequest {
    EmbedRequest {
        id: "cmd".to_owned(),
        model: "m-1".to_owned(),
        input: texts.iter().map(|text| (*text).to_owned()).collect(),
        dimensions: Some(2),
        origin: Origin::default(),
    }
}

async fn embed(
    kind: &str,
    server: &Server,
    request: &EmbedRequest,
) -> Result<Result<Embedded, ProviderFailure>> {
    let registry = registry(kind, &server.base_url())?;
    let configured = registry.find(None)?;
    let provider = configured.provider.as_deref().map_err(Clone::clone)?;
    Ok(provider.embed(request).await)
}

/// A server that answers everything with this.
async fn saying(body: &Value) -> Result<Server> {
    let body: &'static str = body.to_string().leak();
    Server::start(move |_| Body::Status(200, body)).await
}

fn base64(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|one| one.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[tokio::test]
async fn openai_is_asked_for_floats_and_read_by_index() -> Result<()> {
    let server = saying(&json!({
        "object": "list",
        "data": [
            {"object": "embedding", "index": 1, "embedding": [0.0, -0.5]},
            {"object": "embedding", "index": 0, "embedding": [0.0023064255, 1e-3]},
        ],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }))
    .await?;
    let found = embed("openai", &server, &of(&["one", "two"])).await??;
    ensure!(
        found.vectors == [[0.002_306_425_5, 0.001], [0.0, -0.5]],
        "{found:?}"
    );
    ensure!(found.usage.input_tokens == 8 && found.usage.output_tokens == 0);
    ensure!(found.model.as_deref() == Some("text-embedding-3-small"));
    let sent = server.bodies()?.pop().context("a request")?;
    let wanted = json!({
        "model": "m-1", "input": ["one", "two"], "encoding_format": "float", "dimensions": 2,
    });
    ensure!(sent == wanted, "{sent}");
    let head = server.heads().pop().context("a request")?;
    ensure!(
        head.starts_with("POST /v1/embeddings HTTP/1.1\r\n"),
        "{head}"
    );
    ensure!(head.contains(&format!("authorization: Bearer {CANARY}\r\n")));
    Ok(())
}

#[tokio::test]
async fn base64_and_a_missing_index_are_read_too() -> Result<()> {
    let server = saying(&json!({
        "data": [{"embedding": base64(&[0.5, -2.0])}, {"embedding": [3, 4]}],
    }))
    .await?;
    for kind in ["openai", "ollama"] {
        let found = embed(kind, &server, &of(&["one", "two"])).await??;
        ensure!(found.vectors == [[0.5, -2.0], [3.0, 4.0]], "{found:?}");
        ensure!(found.usage.tokens() == 0 && found.model.is_none());
    }
    Ok(())
}

#[tokio::test]
async fn gemini_is_asked_in_batches() -> Result<()> {
    let full: Vec<Value> = (0_u8..100).map(|n| json!({"values": [n, 1]})).collect();
    let full: &'static str = json!({"embeddings": full}).to_string().leak();
    let rest =
        r#"{"embeddings": [{"values": [100, 1]}], "usageMetadata": {"promptTokenCount": 3}}"#;
    let server =
        Server::start(move |number| Body::Status(200, if number == 0 { full } else { rest }))
            .await?;
    let found = embed("gemini", &server, &of(&["text"; 101])).await??;
    ensure!(found.vectors.len() == 101 && found.usage.input_tokens == 3);
    let firsts = found.vectors.iter().filter_map(|vector| vector.first());
    ensure!(firsts.copied().eq((0_u8..=100).map(f32::from)));
    let sent = server.bodies()?.pop().context("a request")?;
    let wanted = json!({"requests": [{
        "model": "models/m-1", "content": {"parts": [{"text": "text"}]}, "outputDimensionality": 2,
    }]});
    ensure!(sent == wanted, "{sent}");
    let head = server.heads().pop().context("a request")?;
    let line = "POST /v1/models/m-1:batchEmbedContents HTTP/1.1\r\n";
    ensure!(head.starts_with(line) && head.contains(CANARY), "{head}");
    Ok(())
}

/// An answer of Gemini to a full batch, with vectors of this length.
fn full_batch(length: usize) -> &'static str {
    let one = json!({"values": vec![1; length]});
    let all = json!({"embeddings": vec![one; 100], "usageMetadata": {"promptTokenCount": 5}});
    all.to_string().leak()
}

#[tokio::test]
async fn what_the_first_batch_took_is_told_when_the_second_fails() -> Result<()> {
    let full = full_batch(2);
    let server = Server::start(move |number| match number {
        0 => Body::Status(200, full),
        _ => Body::Status(503, "not now"),
    })
    .await?;
    let failure = embed("gemini", &server, &of(&["text"; 101])).await?;
    let failure = failure.err().context("half of the vectors")?;
    ensure!(failure.class == FailureClass::Unavailable, "{failure:?}");
    ensure!(failure.used.input_tokens == 5, "{failure:?}");
    Ok(())
}

#[tokio::test]
async fn vectors_that_cannot_be_kept_are_not_paid_for() -> Result<()> {
    let full = full_batch(1000);
    let server = Server::start(move |_| Body::Status(200, full)).await?;
    let failure = embed("gemini", &server, &of(&["text"; 2048])).await?;
    let failure = failure.err().context("two million numbers")?;
    ensure!(failure.class == FailureClass::BadRequest, "{failure:?}");
    ensure!(failure.detail.contains("at most 1500 texts"), "{failure}");
    let asked = server.heads().len();
    ensure!(asked == 1, "asked {asked} times");
    Ok(())
}

#[tokio::test]
async fn anthropic_says_that_it_has_none() -> Result<()> {
    let server = saying(&json!({})).await?;
    let failure = embed("anthropic", &server, &of(&["one"])).await?;
    let failure = failure.err().context("vectors of Anthropic")?;
    ensure!(failure.class == FailureClass::Unsupported, "{failure:?}");
    ensure!(
        failure.detail.contains("turns texts into vectors"),
        "{failure}"
    );
    ensure!(server.heads().is_empty(), "nothing was sent");
    Ok(())
}

/// Kind, body, and what is said of it. Each was asked for two texts.
fn no_vectors() -> Vec<(&'static str, String, &'static str)> {
    let one = json!({"index": 0, "embedding": [1, 2]});
    let odd = STANDARD.encode([0, 0, 0, 0, 0]);
    let not_numbers = base64(&[f32::NAN, 0.0]);
    let second = |embedding: Value| json!({"index": 1, "embedding": embedding});
    // What stands beside the first vector.
    let beside = [
        (one.clone(), "`index`"),
        (json!({"index": 2, "embedding": [1, 2]}), "`index`"),
        (json!({"embedding": [1, 2]}), "`index`"),
        (second(json!([1])), "of 2 and of 1"),
        (second(json!([])), "is empty"),
        (second(json!([1, null])), "JSON"),
        (second(json!([1, 1e300])), "else than numbers"),
        (second(json!(not_numbers)), "else than numbers"),
        (second(json!(odd)), "no list of `f32`"),
        (second(json!("no base64!")), "JSON"),
    ];
    let beside = beside.map(|(other, says)| {
        let body = json!({ "data": [one, other] });
        ("openai", body.to_string(), says)
    });
    let alone = json!({ "data": [one] }).to_string();
    let bodies = [
        ("openai", alone.as_str(), "1 vectors for 2 texts"),
        ("openai", "{}", "0 vectors for 2"),
        ("openai", r#"{"data": [{"embedding": [NaN, 1]}]}"#, "JSON"),
        ("openai", "<html>", "JSON"),
        ("openai", r#"{"data": [{"index": 0, "embe"#, "JSON"),
        (
            "gemini",
            r#"{"embeddings": [{"values": [1]}]}"#,
            "1 vectors for 2",
        ),
        ("gemini", r#"{"embeddings": [{}, {}]}"#, "is empty"),
        ("gemini", "nonsense", "JSON"),
    ];
    let bodies = bodies.map(|(kind, body, says)| (kind, body.to_owned(), says));
    beside.into_iter().chain(bodies).collect()
}

#[tokio::test]
async fn what_is_not_the_vectors_asked_for_is_refused() -> Result<()> {
    let slow = r#"{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}"#;
    let reported = (
        "openai",
        slow.to_owned(),
        FailureClass::RateLimited,
        "slow down",
    );
    let garbled = no_vectors().into_iter();
    let garbled = garbled.map(|(kind, body, says)| (kind, body, FailureClass::Garbled, says));
    for (kind, body, class, says) in garbled.chain([reported]) {
        let body: &'static str = body.leak();
        let server = Server::start(move |_| Body::Status(200, body)).await?;
        let failure = embed(kind, &server, &of(&["one", "two"])).await?;
        let failure = failure
            .err()
            .with_context(|| format!("vectors from {body}"))?;
        ensure!(
            failure.class == class,
            "{body}: {:?}: {failure}",
            failure.class
        );
        ensure!(failure.detail.contains(says), "{body}: {failure}");
    }
    Ok(())
}

#[tokio::test]
async fn refusals_of_vectors_fall_into_the_same_classes() -> Result<()> {
    for (kind, status, body, class) in expected::REFUSALS {
        if *kind == "anthropic" {
            continue;
        }
        let server = Server::start(move |_| Body::Status(*status, body)).await?;
        let failure = embed(kind, &server, &of(&["one"])).await?;
        let failure = failure
            .err()
            .with_context(|| format!("{kind} {status}: vectors"))?;
        ensure!(failure.class == *class, "{kind} {status}: {failure}");
        ensure!(!failure.to_string().contains(CANARY), "{failure}");
    }
    Ok(())
}
