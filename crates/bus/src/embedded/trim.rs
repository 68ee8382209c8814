//! Trimming: what is old and settled by every group goes.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::state::Channel;
use super::transaction::Transaction;

/// How many entries one transaction drops, so that writers are not held up.
pub(super) const TRIM_CHUNK: u64 = 5_000;

impl Transaction<'_> {
    pub(super) fn trim(&mut self, channel: &Arc<Channel>, before: i64) -> rusqlite::Result<u64> {
        let (trimmed, head) = (channel.trimmed(), channel.head());
        let kept = first_at_or_after(self.connection, channel, before)?.min(self.floor(channel));
        let upto = kept.saturating_sub(1).min(head).min(trimmed + TRIM_CHUNK);
        if upto <= trimmed {
            return Ok(0);
        }
        let delete = format!("DELETE FROM entries_{} WHERE seq <= ?1", channel.id);
        let dropped = self
            .connection
            .prepare_cached(&delete)?
            .execute(params![upto.cast_signed()])?;
        self.connection
            .prepare_cached("UPDATE channels SET trimmed = ?2 WHERE id = ?1")?
            .execute(params![channel.id, upto.cast_signed()])?;
        self.trimmed.push((Arc::clone(channel), upto));
        Ok(dropped as u64)
    }
}

/// The first entry stored at or after this moment, by halving: times never run backwards within a
/// channel. The one behind the newest when there is none.
pub(super) fn first_at_or_after(
    connection: &Connection,
    channel: &Channel,
    at_ms: i64,
) -> rusqlite::Result<u64> {
    let select = format!(
        "SELECT stored_at FROM entries_{} WHERE seq >= ?1 ORDER BY seq LIMIT 1",
        channel.id
    );
    let mut stored_at = connection.prepare_cached(&select)?;
    let (mut low, mut high) = (channel.trimmed() + 1, channel.head() + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<i64> = stored_at
            .query_row(params![middle.cast_signed()], |row| row.get(0))
            .optional()?;
        if found.is_some_and(|found| found < at_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
