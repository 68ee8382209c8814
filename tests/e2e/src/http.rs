//! The HTTP interface, as a program uses it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Client;
use serde_json::{Value, json};

/// A client that waits at most this long for each answer.
///
/// # Errors
/// When it cannot be made.
pub fn client(timeout: Duration) -> Result<Client> {
    // Once per process; a second test in the same one finds it installed.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Ok(Client::builder().timeout(timeout).build()?)
}

/// Submits a message; returns its correlation id.
///
/// # Errors
/// When it is not accepted.
pub async fn submit(client: &Client, url: &str, key: &str, body: &Value) -> Result<String> {
    let request = client
        .post(format!("{url}/v1/messages"))
        .header("idempotency-key", key);
    let response = request.json(body).send().await?;
    let status = response.status();
    let body: Value = response.json().await?;
    ensure!(status.as_u16() == 202, "{status}: {body}");
    Ok(body
        .get("correlation_id")
        .and_then(Value::as_str)
        .context("no correlation_id")?
        .to_owned())
}

/// What is known of a message.
///
/// # Errors
/// When the interface does not answer.
pub async fn message(client: &Client, url: &str, id: &str) -> Result<Value> {
    let response = client.get(format!("{url}/v1/messages/{id}")).send().await?;
    let status = response.status();
    let body: Value = response.json().await?;
    ensure!(status.is_success(), "{status}: {body}");
    Ok(body)
}

/// Asks and waits for the text of the answer.
///
/// # Errors
/// When there is none in time, or the message failed.
pub async fn ask(url: &str, text: &str, timeout: Duration) -> Result<String> {
    let client = client(timeout)?;
    let key = uuid::Uuid::now_v7().to_string();
    let id = submit(&client, url, &key, &json!({ "text": text })).await?;
    let wait = timeout.as_secs().min(25);
    let response = client
        .get(format!("{url}/v1/messages/{id}?wait={wait}s"))
        .send()
        .await?;
    let body: Value = response.json().await?;
    match body.get("status").and_then(Value::as_str) {
        Some("completed") => Ok(body
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()),
        _ => bail!("{body}"),
    }
}
