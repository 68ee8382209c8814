//! Request and reply between services: publish, listen live, and ask again until an answer comes.

use std::time::Duration;

use futures::StreamExt;
use nexus_bus::{Bus, BusError, LiveItem, Outgoing};
use nexus_contracts::{Envelope, MessageId, Timestamp};
use tokio::time::Instant;

use crate::consume::{REPLY_FIELD, REPLY_LIVE, decode_reply, reply_topic};
use crate::{Clock, outgoing};

/// How patiently an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTiming {
    /// Asked again, under the same id, each time this has passed.
    pub again: Duration,
    /// Given up after this.
    pub deadline: Duration,
}

impl Default for RequestTiming {
    /// Again every 5 s, given up after 30 s.
    fn default() -> Self {
        Self {
            again: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Nobody answered in time. The request may still be worked on.
    #[error("no answer on `{channel}` within {waited:?}; is its service running?")]
    Timeout {
        /// The channel asked.
        channel: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The bus refused, and asking again would not help.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Asks on `channel` and waits for the first answer whose `causation_id` is the request's id.
///
/// The request may be published more than once, always under the same id: whoever answers repeats
/// a stored result. Without a deadline in its metadata, the request gets that of `timing`.
///
/// # Errors
/// [`RequestError::Timeout`], or a bus error that is not transient.
pub async fn request(
    bus: &Bus,
    clock: &Clock,
    channel: &str,
    mut envelope: Envelope,
    timing: RequestTiming,
) -> Result<Envelope, RequestError> {
    let give_up = Instant::now() + timing.deadline;
    let patience = i64::try_from(timing.deadline.as_millis()).unwrap_or(i64::MAX);
    envelope
        .metadata
        .deadline
        .get_or_insert_with(|| clock.now().plus_millis(patience));
    let mut question = outgoing(channel, &envelope);
    question.record.set(REPLY_FIELD, REPLY_LIVE);

    loop {
        let until = give_up.min(Instant::now() + timing.again);
        let round = round(bus, &question, &envelope.id, clock.now());
        match tokio::time::timeout_at(until, round).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if !error.is_transient() => return Err(error.into()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "asking failed; asking again");
                tokio::time::sleep_until(until).await;
            }
            Err(_) => {}
        }
        if Instant::now() >= give_up {
            let (channel, waited) = (channel.to_owned(), timing.deadline);
            return Err(RequestError::Timeout { channel, waited });
        }
    }
}

#[cfg(test)]
mod tests;

/// Asks once and listens until the answer comes. Listens first, so that none is missed.
async fn round(
    bus: &Bus,
    question: &Outgoing,
    id: &MessageId,
    now: Timestamp,
) -> Result<Envelope, BusError> {
    let mut heard = bus.live_subscribe(&reply_topic(id), 0).await?;
    bus.publish(vec![question.clone()]).await?;
    while let Some(item) = heard.next().await {
        let LiveItem::Entry { data, .. } = item else {
            continue;
        };
        match decode_reply(bus.blobs(), &data, now).await {
            Ok(answer) if answer.metadata.causation_id.as_ref() == Some(id) => return Ok(answer),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a live reply cannot be read"),
        }
    }
    Err(BusError::Closed)
}
