//! Storing records: all are sent, then all acknowledgements are awaited.

use std::collections::HashSet;
use std::future::IntoFuture as _;

use async_nats::jetstream::context::{PublishAckFuture, PublishError};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use futures::future::join_all;

use crate::nats::fields;
use crate::nats::link::{Link, Refusal};
use crate::nats::stream::Channels;
use crate::{BusError, EntryId, Outgoing};

/// Stores records, in order per channel; one result each. Missing streams are made.
pub(super) async fn publish(
    link: &Link,
    channels: &Channels,
    batch: &[&Outgoing],
) -> Vec<Result<EntryId, BusError>> {
    let mut results = match attempt(link, channels, batch).await {
        Ok(results) => results,
        Err(error) => return batch.iter().map(|_| Err(error.clone())).collect(),
    };
    let lost = |result: &Result<EntryId, Refusal>| matches!(result, Err(Refusal::Missing));
    let again: Vec<usize> = results
        .iter()
        .enumerate()
        .filter(|(_, r)| lost(r))
        .map(|(at, _)| at)
        .collect();
    if !again.is_empty() {
        // Somebody deleted a stream we had seen. Nothing of these was stored.
        let missing: Vec<&Outgoing> = again
            .iter()
            .filter_map(|at| batch.get(*at).copied())
            .collect();
        for outgoing in &missing {
            channels.forget(&outgoing.channel);
        }
        match attempt(link, channels, &missing).await {
            Ok(second) => {
                for (at, result) in again.into_iter().zip(second) {
                    if let Some(slot) = results.get_mut(at) {
                        *slot = result;
                    }
                }
            }
            Err(error) => {
                for slot in results.iter_mut().filter(|result| lost(result)) {
                    *slot = Err(Refusal::Bus(error.clone()));
                }
            }
        }
    }
    results
        .into_iter()
        .map(|result| result.map_err(BusError::from))
        .collect()
}

async fn attempt(
    link: &Link,
    channels: &Channels,
    batch: &[&Outgoing],
) -> Result<Vec<Result<EntryId, Refusal>>, BusError> {
    link.ready().await?;
    let mut seen = HashSet::new();
    for outgoing in batch {
        if seen.insert(outgoing.channel.as_str()) {
            channels.ensure(link, &outgoing.channel).await?;
        }
    }
    let mut sent = Vec::with_capacity(batch.len());
    for outgoing in batch {
        let (headers, body) = fields::encode(&outgoing.record);
        let message = PublishMessage::build().headers(headers).payload(body);
        sent.push(
            link.js
                .send_publish(link.names.subject(&outgoing.channel), message)
                .await,
        );
    }
    let stored = join_all(sent.into_iter().map(confirmed)).await;
    let entry = |ack: PublishAck| EntryId::new(ack.sequence, 0);
    Ok(stored
        .into_iter()
        .map(|result| {
            result
                .map(entry)
                .map_err(|error| link.publish_refusal(&error))
        })
        .collect())
}

/// The second half of a publish.
pub(super) async fn confirmed(
    sent: Result<PublishAckFuture, PublishError>,
) -> Result<PublishAck, PublishError> {
    sent?.into_future().await
}

/// Sends one message to a subject and waits until it is stored.
pub(super) async fn publish_one(
    link: &Link,
    subject: String,
    message: PublishMessage,
) -> Result<u64, Refusal> {
    link.ready().await?;
    let stored = confirmed(link.js.send_publish(subject, message).await).await;
    stored
        .map(|ack| ack.sequence)
        .map_err(|error| link.publish_refusal(&error))
}
