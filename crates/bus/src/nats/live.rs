//! Live streams: one stream in the server's memory, one subject per topic.
//!
//! Entries count from 1 within their topic. The writer numbers them and has the server check that
//! nobody came between: each is stored only behind the one it was numbered after.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_nats::{HeaderMap, Message};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use crate::live::{LIVE_CAPACITY, LIVE_TTL_SECONDS};
use crate::nats::cursor::{Begin, Cursor};
use crate::nats::link::{Link, Refusal, number};
use crate::nats::publish::publish_one;
use crate::nats::stream::{ensure_stream, last_message};
use crate::{BusError, LiveEntry, LiveItem};

/// Counts the topic's entries.
const COUNT: &str = "Nexus-Count";
/// Stands for everything before it.
const SNAPSHOT: &str = "Nexus-Snapshot";

/// How long entries are kept, and a writer remembers where its topic stands.
const KEEP: Duration = Duration::from_secs(LIVE_TTL_SECONDS);
/// Above this many topics, those not written lately are forgotten.
const TOPICS: usize = 4096;

/// The last entry of a topic.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    count: u64,
    /// Its sequence in the stream; 0 when nothing is kept.
    sequence: u64,
}

/// Where the topics stand that this bus has written lately.
#[derive(Default)]
pub(super) struct Writers {
    places: Mutex<HashMap<String, (Place, Instant)>>,
}

impl Writers {
    /// Appends entries to a topic; returns the count of the last.
    pub(super) async fn publish(
        &self,
        link: &Link,
        topic: &str,
        entries: &[LiveEntry],
    ) -> Result<u64, BusError> {
        match self.append(link, topic, entries).await {
            // No stream: it lived in the memory of a server that was started anew.
            Err(Refusal::Missing) => {
                self.places.lock().clear();
                ensure(link).await?;
                Ok(self.append(link, topic, entries).await?)
            }
            other => Ok(other?),
        }
    }

    async fn append(
        &self,
        link: &Link,
        topic: &str,
        entries: &[LiveEntry],
    ) -> Result<u64, Refusal> {
        let subject = link.names.live_subject(topic);
        let mut place = self
            .places
            .lock()
            .remove(topic)
            .map_or_else(Place::default, |(place, _)| place);
        for entry in entries {
            place = append_one(link, &subject, place, entry).await?;
        }
        let mut places = self.places.lock();
        if places.len() >= TOPICS {
            places.retain(|_, (_, written)| written.elapsed() < KEEP);
        }
        places.insert(topic.to_owned(), (place, Instant::now()));
        Ok(place.count)
    }
}

/// Appends behind `place`, or behind what was written there meanwhile.
async fn append_one(
    link: &Link,
    subject: &str,
    mut place: Place,
    entry: &LiveEntry,
) -> Result<Place, Refusal> {
    loop {
        let count = place.count + 1;
        let mut message = PublishMessage::build()
            .payload(entry.data.clone())
            .header(COUNT, count.to_string())
            .expected_last_subject_sequence(place.sequence);
        if entry.snapshot {
            message = message.header(SNAPSHOT, "1");
        }
        match publish_one(link, subject.to_owned(), message).await {
            Ok(sequence) => return Ok(Place { count, sequence }),
            Err(Refusal::Conflict) => place = last_place(link, subject, place).await?,
            Err(refusal) => return Err(refusal),
        }
    }
}

/// Where a topic stands. When all of it is too old to be kept, it goes on counting.
async fn last_place(link: &Link, subject: &str, known: Place) -> Result<Place, Refusal> {
    let last = last_message(link, &link.names.live_stream(), subject).await?;
    Ok(last.map_or(
        Place {
            count: known.count,
            sequence: 0,
        },
        |message| Place {
            count: number(Some(&message.headers), COUNT).unwrap_or_default(),
            sequence: message.sequence,
        },
    ))
}

/// Makes the stream. The server repeats what it has stored (`republish`) to who listens.
pub(super) async fn ensure(link: &Link) -> Result<(), BusError> {
    let name = link.names.live_stream();
    let all = link.names.live_subjects();
    let settings = json!({
        "name": name,
        "subjects": [all],
        "republish": { "src": all, "dest": link.names.feed_subjects() },
        "storage": "memory", "retention": "limits", "discard": "old",
        "max_msgs_per_subject": LIVE_CAPACITY,
        "max_age": LIVE_TTL_SECONDS * 1_000_000_000,
        "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1,
        "num_replicas": 1,
    });
    ensure_stream(link, &name, &settings).await
}

/// An entry as the stream holds it and the server repeats it.
pub(super) fn entry(headers: Option<&HeaderMap>, data: bytes::Bytes) -> Option<LiveItem> {
    let sequence = number(headers, COUNT)?;
    let snapshot = headers.is_some_and(|headers| headers.get(SNAPSHOT).is_some());
    Some(LiveItem::Entry {
        sequence,
        snapshot,
        data,
    })
}

/// What a topic keeps behind `after`, with `Gap` first where something of it is gone, and how far
/// that reaches.
pub(super) async fn backfill(
    link: &Arc<Link>,
    topic: &str,
    after: u64,
) -> Result<(Vec<LiveItem>, u64), BusError> {
    let (stream, subject) = (link.names.live_stream(), link.names.live_subject(topic));
    let last = last_message(link, &stream, &subject).await?;
    let last = last
        .and_then(|message| number(Some(&message.headers), COUNT))
        .unwrap_or_default();
    if last == after {
        return Ok((Vec::new(), after));
    }
    let kept = match kept(link, &stream, &subject).await {
        Ok(kept) => kept,
        Err(Refusal::Missing) => Vec::new(),
        Err(refusal) => return Err(refusal.into()),
    };
    // A topic that ends before `after` has begun again: all of it is new.
    let seen = if last < after { 0 } else { after };
    let mut reached = after;
    let mut items = Vec::with_capacity(kept.len() + 1);
    for message in kept {
        let Some(item) = entry(message.headers.as_ref(), message.payload) else {
            continue;
        };
        let LiveItem::Entry { sequence, .. } = item else {
            continue;
        };
        if sequence > seen {
            if items.is_empty() && sequence != after + 1 {
                items.push(LiveItem::Gap);
            }
            items.push(item);
            reached = sequence;
        }
    }
    if items.is_empty() {
        // All of it went while it was read, or before.
        return Ok((vec![LiveItem::Gap], 0));
    }
    Ok((items, reached))
}

async fn kept(link: &Arc<Link>, stream: &str, subject: &str) -> Result<Vec<Message>, Refusal> {
    let mut cursor = Cursor::open(link, stream, subject, Begin::Oldest).await?;
    let kept = cursor.rest().await;
    cursor.close().await;
    kept
}
