//! Questions that the owner and a process beside it ask alike.

use std::time::Duration;

use rusqlite::Connection;

use super::link::{entries, entries_at};
use super::state::{Channel, Stored};
use super::trim::first_at_or_after;
use crate::{ChannelInfo, ReadFrom, ServerInfo};

/// Up to `limit` entries of a channel.
pub(super) fn read(
    db: &Connection,
    channel: &Channel,
    from: ReadFrom,
    limit: usize,
) -> rusqlite::Result<Vec<Stored>> {
    let first = match from {
        ReadFrom::Start => channel.trimmed() + 1,
        ReadFrom::After(id) => id.major.saturating_add(1),
        ReadFrom::Time(at_ms) => first_at_or_after(db, channel, at_ms)?,
        ReadFrom::End => return Ok(Vec::new()),
    };
    entries(db, channel, first, limit)
}

/// How long this entry has been there; nothing when it is not.
pub(super) fn age(
    db: &Connection,
    channel: &Channel,
    seq: u64,
    now_ms: i64,
) -> rusqlite::Result<Option<Duration>> {
    let found = entries_at(db, channel, &[seq])?;
    Ok(found
        .first()
        .map(|oldest| Duration::from_millis(u64::try_from(now_ms - oldest.stored_at).unwrap_or(0))))
}

pub(super) fn info(channel: &Channel, mut groups: Vec<String>) -> ChannelInfo {
    groups.sort_unstable();
    ChannelInfo {
        name: channel.name.clone(),
        entries: channel.len(),
        groups,
    }
}

pub(super) fn server(durability: String) -> ServerInfo {
    let version = format!("SQLite {}", rusqlite::version());
    ServerInfo {
        kind: "embedded",
        version,
        durability,
        warnings: Vec::new(),
    }
}
