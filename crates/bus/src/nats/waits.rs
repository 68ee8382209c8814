//! How often an entry only waited. NATS counts every delivery, and a wait is no attempt.
//!
//! Kept in a stream of its own, one message per entry and group, written before the delivery is
//! put off. Looked up only for entries that were delivered before.

use async_nats::jetstream::message::PublishMessage;
use serde_json::json;

use crate::BusError;
use crate::nats::lease::{Delivered, Waited};
use crate::nats::link::{Link, Refusal};
use crate::nats::publish::publish_one;
use crate::nats::stream::{ensure_stream, last_message};

/// A note nobody deleted (its worker died between two steps) goes after this long.
const KEEP_SECONDS: u64 = 30 * 24 * 3600;

/// One entry in one group.
pub(super) struct Place<'a> {
    pub(super) channel: &'a str,
    pub(super) group: &'a str,
    pub(super) sequence: u64,
    /// Tells this entry from one of the same sequence in another life of the channel.
    pub(super) stored_ns: i64,
}

/// How often this entry waited before.
pub(super) async fn look_up(
    link: &Link,
    channel: &str,
    group: &str,
    delivered: Delivered,
) -> Result<Waited, BusError> {
    if delivered.times <= 1 {
        return Ok(Waited::default());
    }
    let subject = link.names.waits_subject(channel, group, delivered.sequence);
    let found = last_message(link, &link.names.waits_stream(), &subject).await?;
    let noted = found.and_then(|message| {
        let text = std::str::from_utf8(&message.payload).ok()?;
        let (stored_ns, times) = text.split_once(' ')?;
        let ours = stored_ns.parse() == Ok(delivered.stored_ns);
        let times = times.parse().ok().filter(|_| ours)?;
        Some(Waited {
            times,
            noted_at: Some(message.sequence),
        })
    });
    Ok(noted.unwrap_or_default())
}

/// Notes that an entry waited this often.
pub(super) async fn note(link: &Link, place: Place<'_>, times: u32) -> Result<Waited, BusError> {
    let subject = link
        .names
        .waits_subject(place.channel, place.group, place.sequence);
    let text = format!("{} {times}", place.stored_ns);
    let message = PublishMessage::build().payload(text.into());
    let sequence = match publish_one(link, subject.clone(), message.clone()).await {
        Err(Refusal::Missing) => {
            ensure(link).await?;
            publish_one(link, subject, message).await
        }
        other => other,
    };
    Ok(Waited {
        times,
        noted_at: Some(sequence?),
    })
}

/// Forgets a note; what fails here goes with age.
pub(super) async fn forget(link: &Link, waited: Waited) {
    let Some(sequence) = waited.noted_at else {
        return;
    };
    let call = format!("STREAM.MSG.DELETE.{}", link.names.waits_stream());
    let request = json!({ "seq": sequence, "no_erase": true });
    if let Err(error) = link.api::<serde_json::Value>(&call, &request).await {
        tracing::debug!(?error, "a settled entry's waits are still noted");
    }
}

async fn ensure(link: &Link) -> Result<(), BusError> {
    let name = link.names.waits_stream();
    let settings = json!({
        "name": name,
        "subjects": [link.names.waits_subjects()],
        "storage": "file", "retention": "limits", "discard": "old",
        "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1,
        "max_msgs_per_subject": 1,
        "max_age": KEEP_SECONDS * 1_000_000_000,
        "num_replicas": 1,
    });
    ensure_stream(link, &name, &settings).await
}
