//! Reading without a group: direct gets by sequence, many at a time.

use std::future::Future;

use async_nats::jetstream::message::StreamMessage;
use futures::StreamExt as _;
use futures::stream;

use crate::nats::fields;
use crate::nats::link::Link;
use crate::nats::stream::{StreamInfo, first_since, message_at, stored_at_ms, stream_info};
use crate::{BusError, Entry, EntryId, ReadFrom};

/// Messages asked for at one time.
const AT_ONCE: usize = 128;

/// Entries in order. When there is nothing new this costs one request, so `tail` may poll.
pub(super) async fn read(
    link: &Link,
    channel: &str,
    from: ReadFrom,
    limit: usize,
) -> Result<Vec<Entry>, BusError> {
    let name = link.names.stream(channel);
    let Some(info) = stream_info(link, &name).await? else {
        return Ok(Vec::new());
    };
    let mut next = match from {
        ReadFrom::Start => info.state.first_seq,
        ReadFrom::After(id) => id.major.saturating_add(1).max(info.state.first_seq),
        ReadFrom::Time(since) => first_since(link, channel, &info.state, since).await?,
        ReadFrom::End => return Ok(Vec::new()),
    };
    // Of a stream that never held anything the server says that it begins at 0.
    next = next.max(1);
    let mut entries = Vec::new();
    while entries.len() < limit && next <= info.state.last_seq {
        let wanted = u64::try_from(limit - entries.len()).unwrap_or(u64::MAX);
        let end = next.saturating_add(wanted).min(info.state.last_seq + 1);
        // Sequences without a message were deleted by hand; the loop makes up for them.
        let mut gets = stream::iter((next..end).map(|at| get(link, &name, at))).buffered(AT_ONCE);
        while let Some(found) = gets.next().await {
            if let Some(message) = found? {
                entries.push(entry(channel, &info, message));
            }
        }
        next = end;
    }
    Ok(entries)
}

/// Returns a future of a named lifetime, which a closure alone would not.
fn get<'a>(
    link: &'a Link,
    stream: &'a str,
    sequence: u64,
) -> impl Future<Output = Result<Option<StreamMessage>, BusError>> + 'a {
    message_at(link, stream, sequence)
}

fn entry(channel: &str, info: &StreamInfo, message: StreamMessage) -> Entry {
    let id = EntryId::new(message.sequence, 0);
    let stored_at_ms = stored_at_ms(&message);
    let mut record = fields::decode(Some(&message.headers), message.payload);
    record.ensure_id(channel, &info.created, id);
    Entry {
        id,
        stored_at_ms,
        record,
    }
}
