//! Tables as key-value buckets, laid out as `nats kv` does, so that it can read them.
//!
//! The client's own bucket calls do not understand a 2.9 server; streams and messages do the same.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use serde_json::json;

use crate::nats::cursor::{Begin, Cursor};
use crate::nats::lease::Delivered;
use crate::nats::link::{Link, Refusal};
use crate::nats::names::{escape, unescape};
use crate::nats::publish::publish_one;
use crate::nats::stream::{StreamInfo, ensure_stream, last_message, stream_info};
use crate::{BusError, Expect, PutOutcome, TableVersion, Versioned, clock};

/// Marks a message that deletes its key.
const OPERATION: &str = "KV-Operation";
/// Marks older than this are cleared away by whoever reads the whole table.
const KEEP_MARKS_MS: i64 = 10 * 60 * 1000;
/// How many of them at one time.
const CLEAR_AT_ONCE: usize = 100;

/// One life of a table.
#[derive(Clone)]
pub(super) struct Table {
    link: Arc<Link>,
    bucket: String,
    incarnation: String,
    last_sequence: u64,
}

/// What a key's last message says.
struct Latest {
    sequence: u64,
    /// None: it was deleted.
    value: Option<Bytes>,
}

/// A message of a table.
pub(super) enum Change {
    /// A value was set.
    Put(Versioned),
    /// A value was deleted.
    Deleted { key: String, sequence: u64 },
}

impl Table {
    /// The table, if there is one.
    async fn find(link: &Arc<Link>, name: &str) -> Result<Option<Self>, BusError> {
        let bucket = link.names.bucket(name);
        let info = stream_info(link, &format!("KV_{bucket}")).await?;
        Ok(info.map(|info| Self::of(link, bucket, info)))
    }

    /// The table, made if there is none.
    pub(super) async fn open(link: &Arc<Link>, name: &str) -> Result<Self, BusError> {
        if let Some(table) = Self::find(link, name).await? {
            return Ok(table);
        }
        let bucket = link.names.bucket(name);
        let stream = format!("KV_{bucket}");
        let settings = json!({
            "name": stream,
            "subjects": [format!("$KV.{bucket}.>")],
            "storage": "file", "retention": "limits", "discard": "new",
            "max_msgs_per_subject": 1,
            "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1,
            "max_age": 0, "num_replicas": 1,
            "allow_rollup_hdrs": true, "allow_direct": true,
        });
        ensure_stream(link, &stream, &settings).await?;
        let found = Self::find(link, name).await?;
        found.ok_or_else(|| Refusal::Missing.into())
    }

    fn of(link: &Arc<Link>, bucket: String, info: StreamInfo) -> Self {
        Self {
            link: Arc::clone(link),
            bucket,
            incarnation: info.created,
            last_sequence: info.state.last_seq,
        }
    }

    fn stream(&self) -> String {
        format!("KV_{}", self.bucket)
    }

    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{}", self.bucket, escape(key))
    }

    fn version(&self, n: u64) -> TableVersion {
        TableVersion {
            incarnation: self.incarnation.clone(),
            n,
        }
    }

    fn versioned(&self, key: &str, value: Bytes, n: u64) -> Versioned {
        Versioned {
            key: key.to_owned(),
            value,
            version: self.version(n),
        }
    }

    async fn latest(&self, key: &str) -> Result<Option<Latest>, BusError> {
        let found = last_message(&self.link, &self.stream(), &self.subject(key)).await?;
        Ok(found.map(|message| Latest {
            sequence: message.sequence,
            value: (!is_mark(Some(&message.headers))).then_some(message.payload),
        }))
    }

    /// Writes a value, or the mark of a deletion. `last` is the sequence the key must have.
    async fn write(
        &self,
        key: &str,
        value: Option<Bytes>,
        last: Option<u64>,
    ) -> Result<u64, Refusal> {
        let mut message = PublishMessage::build();
        message = match value {
            Some(value) => message.payload(value),
            None => message.header(OPERATION, "DEL"),
        };
        if let Some(last) = last {
            message = message.expected_last_subject_sequence(last);
        }
        publish_one(&self.link, self.subject(key), message).await
    }

    /// Opens a cursor over the values there are.
    pub(super) async fn cursor(&self) -> Result<Cursor, Refusal> {
        let all = format!("$KV.{}.>", self.bucket);
        Cursor::open(&self.link, &self.stream(), &all, Begin::LastOfEach).await
    }

    /// What a message of the cursor says.
    pub(super) fn change(&self, message: async_nats::Message) -> Option<Change> {
        let token = message
            .subject
            .as_str()
            .strip_prefix("$KV.")?
            .strip_prefix(&self.bucket)?;
        let key = unescape(token.strip_prefix('.')?)?;
        let reply = message.reply.as_deref()?;
        let sequence = Delivered::parse(reply)?.sequence;
        if is_mark(message.headers.as_ref()) {
            return Some(Change::Deleted { key, sequence });
        }
        Some(Change::Put(self.versioned(&key, message.payload, sequence)))
    }

    /// All values a new cursor finds. Old marks of deletions are cleared away on the way.
    pub(super) async fn values(&self, cursor: &mut Cursor) -> Result<Vec<Versioned>, Refusal> {
        let old = clock::now_ms().saturating_sub(KEEP_MARKS_MS);
        let mut marks = Vec::new();
        let mut values = Vec::new();
        for message in cursor.rest().await? {
            let stored_ms = stored_ms(&message);
            match self.change(message) {
                Some(Change::Put(value)) => values.push(value),
                Some(Change::Deleted { sequence, .. }) if stored_ms < old => marks.push(sequence),
                Some(Change::Deleted { .. }) | None => {}
            }
        }
        for sequence in marks.into_iter().take(CLEAR_AT_ONCE) {
            let call = format!("STREAM.MSG.DELETE.{}", self.stream());
            let request = json!({ "seq": sequence, "no_erase": true });
            match self.link.api::<serde_json::Value>(&call, &request).await {
                Ok(_) | Err(Refusal::Missing) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(values)
    }
}

/// The value of a key.
pub(super) async fn get(
    link: &Arc<Link>,
    table: &str,
    key: &str,
) -> Result<Option<Versioned>, BusError> {
    let Some(table) = Table::find(link, table).await? else {
        return Ok(None);
    };
    let latest = table.latest(key).await?;
    Ok(latest.and_then(|found| Some(table.versioned(key, found.value?, found.sequence))))
}

/// Sets a key (no value: deletes it) if `expect` holds.
pub(super) async fn put(
    link: &Arc<Link>,
    table: &str,
    key: &str,
    value: Option<Bytes>,
    expect: Expect,
) -> Result<PutOutcome, BusError> {
    let table = Table::open(link, table).await?;
    if let (Some(_), Expect::Any) = (&value, &expect) {
        let n = table.write(key, value, None).await?;
        return Ok(PutOutcome::Stored(table.version(n)));
    }
    loop {
        let latest = table.latest(key).await?;
        let last = latest.as_ref().map_or(0, |found| found.sequence);
        let current =
            latest.and_then(|found| Some(table.versioned(key, found.value?, found.sequence)));
        let holds = match &expect {
            Expect::Any => true,
            Expect::Absent => current.is_none(),
            Expect::Version(version) => current.as_ref().is_some_and(|c| c.version == *version),
        };
        if !holds {
            return Ok(PutOutcome::Conflict(current));
        }
        if value.is_none() && current.is_none() {
            return Ok(PutOutcome::Stored(table.version(table.last_sequence)));
        }
        match table.write(key, value.clone(), Some(last)).await {
            Ok(n) => return Ok(PutOutcome::Stored(table.version(n))),
            // Another write came between: look again.
            Err(Refusal::Conflict) => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
}

/// All values, by key.
pub(super) async fn list(link: &Arc<Link>, table: &str) -> Result<Vec<Versioned>, BusError> {
    let Some(table) = Table::find(link, table).await? else {
        return Ok(Vec::new());
    };
    let mut cursor = table.cursor().await?;
    let values = table.values(&mut cursor).await;
    cursor.close().await;
    let mut values = values?;
    values.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(values)
}

fn is_mark(headers: Option<&HeaderMap>) -> bool {
    headers.is_some_and(|headers| headers.get(OPERATION).is_some())
}

fn stored_ms(message: &async_nats::Message) -> i64 {
    let reply = message.reply.as_deref().unwrap_or_default();
    Delivered::parse(reply).map_or(i64::MAX, |at| at.stored_ns / 1_000_000)
}
