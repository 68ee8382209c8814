//! Many questions at once, from a client on the bus and from one over HTTP.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::future::join_all;
use nexus_bus::{Bus, Outgoing, ReadFrom, Record};
use nexus_contracts::{Envelope, FieldsContext, MessageId, Timestamp, channels};
use nexus_testkit::wait_until;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::http;
use crate::ledger::Ledger;

/// The question with this number: needs a tool, and has an answer that can be checked.
#[must_use]
pub fn text(number: usize) -> String {
    format!("What is {number} * 43?")
}

/// What its answer must contain.
#[must_use]
pub fn expected(number: usize) -> String {
    (number * 43).to_string()
}

/// Puts questions on the bus as a client of any language would: JSON, an id and a correlation id.
///
/// # Errors
/// When the bus does not take them.
pub async fn put_on_bus(bus: &Bus, numbers: std::ops::Range<usize>) -> Result<()> {
    let batch = numbers.map(|number| {
        let id = format!("question-{number}");
        let fields = [
            ("id", id.clone()),
            ("type", "message.submitted".to_owned()),
            ("correlation_id", id),
            ("payload", json!({ "text": text(number) }).to_string()),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
        let channel = channels::REQUESTS_INCOMING.to_owned();
        Outgoing {
            channel,
            record: Record::new(fields),
        }
    });
    bus.publish(batch.collect()).await?;
    Ok(())
}

/// Every final answer on the local client's channel so far, as (question, message id, text).
///
/// # Errors
/// When the bus cannot be read.
pub async fn answers_on_bus(bus: &Bus) -> Result<Vec<(String, String, String)>> {
    let mut answers = Vec::new();
    let mut from = ReadFrom::Start;
    loop {
        let entries = bus.read(channels::REQUESTS_PROCESSED, from, 1000).await?;
        let Some(last) = entries.last() else {
            return Ok(answers);
        };
        from = ReadFrom::After(last.id);
        for entry in entries {
            let stored_at = Timestamp::from_millis(entry.stored_at_ms);
            let fallback_id = MessageId::new(entry.id.to_string())?;
            let context = FieldsContext {
                fallback_id,
                stored_at,
            };
            let envelope = Envelope::from_fields(entry.record.into_fields(), &context)?;
            if envelope.event_type == "message.accepted" {
                continue;
            }
            let question = envelope
                .correlation_id
                .as_ref()
                .context("no correlation id")?;
            let payload = envelope.payload_json()?;
            let text = payload
                .get("text")
                .and_then(Value::as_str)
                .map_or_else(|| payload.to_string(), str::to_owned);
            answers.push((question.to_string(), envelope.id.to_string(), text));
        }
    }
}

/// Asks over HTTP as a careful client does: the same idempotency key until it is accepted, then
/// until there is an answer.
///
/// # Errors
/// When there is none in time.
pub async fn ask_over_http(url: &str, number: usize, until: Instant) -> Result<(String, String)> {
    let client = http::client(Duration::from_secs(5))?;
    let key = format!("http-question-{number}");
    let body = json!({ "text": text(number) });
    let left = || until.saturating_duration_since(Instant::now());
    let mut id = String::new();
    wait_until(left(), "acceptance", async || {
        id = http::submit(&client, url, &key, &body).await?;
        Ok(true)
    })
    .await?;
    let mut answer = String::new();
    wait_until(left(), "an answer over HTTP", async || {
        let message = http::message(&client, url, &id).await?;
        let done = matches!(
            message.get("status").and_then(Value::as_str),
            Some("completed" | "failed")
        );
        answer = message
            .get("text")
            .and_then(Value::as_str)
            .map_or_else(|| message.to_string(), str::to_owned);
        Ok(done)
    })
    .await?;
    Ok((id, answer))
}

/// Waits for the answers of questions put on the bus and over HTTP, and writes all of them down.
///
/// # Errors
/// When a question over HTTP gets no answer in time. A question on the bus that gets none is left
/// open in the ledger.
pub async fn collect(
    ledger: &mut Ledger,
    bus: &Bus,
    over_http: impl IntoIterator<Item = impl Future<Output = Result<(String, String)>>>,
    until: Instant,
) -> Result<()> {
    let mut keys: HashMap<usize, (String, String)> = HashMap::new();
    for (at, answer) in join_all(over_http).await.into_iter().enumerate() {
        keys.insert(at, answer?);
    }
    for (id, text) in keys.into_values() {
        ledger.asked(id.clone());
        ledger.answered(&id, &id, &text);
    }
    let left = until.saturating_duration_since(Instant::now());
    let all = wait_until(left, "the answers on the bus", async || {
        for (question, id, text) in answers_on_bus(bus).await? {
            ledger.answered(&question, &id, &text);
        }
        Ok(ledger.open().is_empty())
    });
    // What is still open is for the ledger to say.
    let _late = all.await;
    Ok(())
}
