//! Dropping what is old and settled.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::nats::link::{Link, Refusal};
use crate::nats::stream::{StreamInfo, consumers, first_since, found, stream_info};
use crate::{BusError, clock};

/// From this server on a purge leaves deliveries alone that are worked on. Before, it forgets them
/// in every group: a worker that dies then takes its entry with it.
pub(super) const PURGES_SAFELY: (i64, i64, i64) = (2, 9, 15);

/// Entries deleted one by one in a call, and at one time, where a purge is not safe.
const ONE_BY_ONE: u64 = 50_000;
const AT_ONCE: usize = 128;

#[derive(Deserialize)]
struct Purged {
    purged: u64,
}

/// Drops what is older than `retain` and settled by every group.
pub(super) async fn trim(link: &Link, channel: &str, retain: Duration) -> Result<u64, BusError> {
    let name = link.names.stream(channel);
    let Some(info) = stream_info(link, &name).await? else {
        return Ok(0);
    };
    let retain = i64::try_from(retain.as_millis()).unwrap_or(i64::MAX);
    let cut = clock::now_ms().saturating_sub(retain);
    let mut keep = first_since(link, channel, &info.state, cut).await?;
    for consumer in consumers(link, &name).await? {
        keep = keep.min(consumer.ack_floor.stream_seq + 1);
    }
    if keep <= info.state.first_seq {
        return Ok(0);
    }
    let (major, minor, patch) = PURGES_SAFELY;
    if !link.client.is_server_compatible(major, minor, patch) {
        return delete(link, &name, &info, keep).await;
    }
    let call = format!("STREAM.PURGE.{name}");
    let purged: Option<Purged> = found(link.api(&call, &json!({ "seq": keep })).await)?;
    Ok(purged.map_or(0, |answer| answer.purged))
}

/// Deletes the entries before `keep` one by one; what a call leaves, the next takes.
async fn delete(link: &Link, name: &str, info: &StreamInfo, keep: u64) -> Result<u64, BusError> {
    let first = info.state.first_seq;
    let end = keep.min(first.saturating_add(ONE_BY_ONE));
    let call = format!("STREAM.MSG.DELETE.{name}");
    let call = call.as_str();
    let mut deletions = stream::iter(first..end)
        .map(|sequence| async move {
            let request = json!({ "seq": sequence, "no_erase": true });
            link.api::<Value>(call, &request).await
        })
        .buffered(AT_ONCE);
    let mut deleted = 0;
    while let Some(answer) = deletions.next().await {
        match answer {
            Ok(_) => deleted += 1,
            // Another janitor was faster, which the server does not tell apart from a failure.
            Err(Refusal::Missing | Refusal::Bus(BusError::Protocol(_))) => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    Ok(deleted)
}
