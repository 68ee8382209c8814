//! Channels as streams: made on demand, listed and measured.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};
use parking_lot::RwLock;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::nats::link::{Link, Refusal};
use crate::nats::names::Names;
use crate::{Backlog, BusError, ChannelInfo, clock};

/// Code of the server for a stream that is there with other settings: an operator's choice.
const OTHER_SETTINGS: &str = "10058";

/// What is asked of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct StreamInfo {
    config: StreamConfig,
    /// Made when the stream was: its incarnation.
    pub(super) created: String,
    pub(super) state: StreamState,
}

#[derive(Debug, Deserialize)]
struct StreamConfig {
    name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamState {
    pub(super) messages: u64,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
}

/// What is asked of a consumer.
#[derive(Debug, Deserialize)]
pub(super) struct ConsumerInfo {
    pub(super) name: String,
    pub(super) config: ConsumerConfig,
    pub(super) ack_floor: Sequences,
    num_ack_pending: u64,
    num_pending: u64,
}

/// What of a consumer's settings may change.
#[derive(Debug, Deserialize)]
pub(super) struct ConsumerConfig {
    pub(super) ack_wait: Option<u64>,
    pub(super) max_ack_pending: Option<u64>,
    durable_name: Option<String>,
}

/// Up to where a consumer came.
#[derive(Debug, Deserialize)]
pub(super) struct Sequences {
    pub(super) stream_seq: u64,
}

#[derive(Deserialize)]
struct StreamPage {
    total: usize,
    streams: Option<Vec<StreamInfo>>,
}

#[derive(Deserialize)]
struct ConsumerPage {
    total: usize,
    consumers: Option<Vec<ConsumerInfo>>,
}

/// The channels this bus knows to exist.
#[derive(Default)]
pub(super) struct Channels {
    known: RwLock<HashSet<String>>,
}

impl Channels {
    /// Makes the channel's stream unless it was seen before.
    pub(super) async fn ensure(&self, link: &Link, channel: &str) -> Result<(), BusError> {
        if self.known.read().contains(channel) {
            return Ok(());
        }
        let name = link.names.stream(channel);
        let settings = json!({
            "name": name,
            "subjects": [link.names.subject(channel)],
            "storage": "file",
            "retention": "limits",
            // Limits retention would drop what nobody settled; full, the stream refuses instead.
            "discard": "new",
            "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1,
            "max_msgs_per_subject": -1, "max_age": 0, "num_replicas": 1,
            "allow_direct": true,
        });
        ensure_stream(link, &name, &settings).await?;
        self.known.write().insert(channel.to_owned());
        Ok(())
    }

    /// The stream turned out to be gone.
    pub(super) fn forget(&self, channel: &str) {
        self.known.write().remove(channel);
    }

    /// This life of the channel, which is made if there is none.
    pub(super) async fn incarnation(&self, link: &Link, channel: &str) -> Result<String, BusError> {
        let name = link.names.stream(channel);
        if let Some(info) = stream_info(link, &name).await? {
            return Ok(info.created);
        }
        self.forget(channel);
        self.ensure(link, channel).await?;
        let info = stream_info(link, &name).await?;
        info.map(|info| info.created)
            .ok_or_else(|| Refusal::Missing.into())
    }
}

/// Makes a stream; one that is there with other settings is left as it is.
pub(super) async fn ensure_stream(
    link: &Link,
    name: &str,
    settings: &Value,
) -> Result<(), BusError> {
    match link
        .api::<Value>(&format!("STREAM.CREATE.{name}"), settings)
        .await
    {
        Err(Refusal::Bus(BusError::Protocol(reason))) if reason.contains(OTHER_SETTINGS) => Ok(()),
        Err(refusal) => Err(refusal.into()),
        Ok(_) => Ok(()),
    }
}

/// A stream; none when it does not exist.
pub(super) async fn stream_info(link: &Link, name: &str) -> Result<Option<StreamInfo>, BusError> {
    found(link.api(&format!("STREAM.INFO.{name}"), &Value::Null).await)
}

/// A consumer; none when it or its stream does not exist.
pub(super) async fn consumer_info(
    link: &Link,
    stream: &str,
    consumer: &str,
) -> Result<Option<ConsumerInfo>, BusError> {
    found(
        link.api(&format!("CONSUMER.INFO.{stream}.{consumer}"), &Value::Null)
            .await,
    )
}

/// "Missing" as none.
pub(super) fn found<T>(answer: Result<T, Refusal>) -> Result<Option<T>, BusError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Refusal::Missing) => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

/// The message at a sequence, or the next one behind it.
pub(super) async fn message_from(
    link: &Link,
    stream: &str,
    subject: &str,
    sequence: u64,
) -> Result<Option<StreamMessage>, BusError> {
    link.ready().await?;
    let stream = stream_handle(link, stream).await?;
    direct(
        link,
        stream
            .direct_get_next_for_subject(subject, Some(sequence))
            .await,
    )
}

/// The message at a sequence.
pub(super) async fn message_at(
    link: &Link,
    stream: &str,
    sequence: u64,
) -> Result<Option<StreamMessage>, BusError> {
    let stream = stream_handle(link, stream).await?;
    direct(link, stream.direct_get(sequence).await)
}

/// The last message of a subject.
pub(super) async fn last_message(
    link: &Link,
    stream: &str,
    subject: &str,
) -> Result<Option<StreamMessage>, BusError> {
    link.ready().await?;
    let stream = stream_handle(link, stream).await?;
    // Not a direct get: a replica may answer those and be behind its own writer.
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(error) if error.code() == 404 => Ok(None),
            _ => Err(link.unreachable(error.to_string())),
        },
    }
}

fn direct(
    link: &Link,
    answer: Result<StreamMessage, async_nats::jetstream::stream::DirectGetError>,
) -> Result<Option<StreamMessage>, BusError> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            DirectGetErrorKind::NotFound => Ok(None),
            DirectGetErrorKind::ErrorResponse(status, _)
                if status == async_nats::StatusCode::NO_RESPONDERS =>
            {
                Ok(None)
            }
            _ => Err(link.unreachable(error.to_string())),
        },
    }
}

async fn stream_handle(
    link: &Link,
    name: &str,
) -> Result<async_nats::jetstream::stream::Stream<()>, BusError> {
    let handle = link.js.get_stream_no_info(name).await;
    handle.map_err(|error| BusError::Config(format!("stream {name}: {error}")))
}

/// When a message was stored.
pub(super) fn stored_at_ms(message: &StreamMessage) -> i64 {
    i64::try_from(message.time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// How much a group has before it.
pub(super) async fn backlog(link: &Link, channel: &str, group: &str) -> Result<Backlog, BusError> {
    let stream = link.names.stream(channel);
    let Some(info) = consumer_info(link, &stream, &Names::consumer(group)).await? else {
        return Ok(Backlog::default());
    };
    let mut backlog = Backlog {
        undelivered: info.num_pending,
        pending: info.num_ack_pending,
        oldest_age: None,
    };
    if backlog.undelivered + backlog.pending > 0 {
        let subject = link.names.subject(channel);
        let oldest = message_from(link, &stream, &subject, info.ack_floor.stream_seq + 1).await?;
        backlog.oldest_age = oldest.map(|message| {
            let age = clock::now_ms().saturating_sub(stored_at_ms(&message));
            Duration::from_millis(u64::try_from(age).unwrap_or_default())
        });
    }
    Ok(backlog)
}

/// The first sequence stored at or after a moment; the one behind the last when there is none.
/// Halving takes about as many requests as the logarithm of the entries: a millisecond or two.
pub(super) async fn first_since(
    link: &Link,
    channel: &str,
    state: &StreamState,
    since_ms: i64,
) -> Result<u64, BusError> {
    let (stream, subject) = (link.names.stream(channel), link.names.subject(channel));
    let (mut low, mut high) = (state.first_seq, state.last_seq + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match message_from(link, &stream, &subject, middle).await? {
            Some(message) if stored_at_ms(&message) < since_ms => low = message.sequence + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Every channel of this prefix, with its groups.
pub(super) async fn channels(link: &Link) -> Result<Vec<ChannelInfo>, BusError> {
    let mut channels = Vec::new();
    let mut offset = 0;
    loop {
        let page: StreamPage = link
            .api("STREAM.LIST", &json!({ "offset": offset }))
            .await?;
        let streams = page.streams.unwrap_or_default();
        offset += streams.len();
        let done = streams.is_empty() || offset >= page.total;
        for stream in streams {
            let Some(name) = link.names.channel(&stream.config.name) else {
                continue;
            };
            let consumers = consumers(link, &stream.config.name).await?;
            let groups = consumers
                .iter()
                .filter_map(|consumer| Names::group(&consumer.name));
            let groups = groups.collect();
            channels.push(ChannelInfo {
                name,
                entries: stream.state.messages,
                groups,
            });
        }
        if done {
            channels.sort_by(|a, b| a.name.cmp(&b.name));
            return Ok(channels);
        }
    }
}

/// The durable consumers of a stream.
pub(super) async fn consumers(link: &Link, stream: &str) -> Result<Vec<ConsumerInfo>, BusError> {
    let mut all = Vec::new();
    let mut offset = 0;
    loop {
        let call = format!("CONSUMER.LIST.{stream}");
        let page: Option<ConsumerPage> =
            found(link.api(&call, &json!({ "offset": offset })).await)?;
        let Some(page) = page else { return Ok(all) };
        let consumers = page.consumers.unwrap_or_default();
        offset += consumers.len();
        let done = consumers.is_empty() || offset >= page.total;
        all.extend(
            consumers
                .into_iter()
                .filter(|found| found.config.durable_name.is_some()),
        );
        if done {
            return Ok(all);
        }
    }
}
