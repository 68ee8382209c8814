//! What the file says when it is opened: what was handed out and not settled is due at once.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::time::Instant;

use super::codec::{Damaged, decode_sequences};
use super::delivery::Deliveries;
use super::failure::{damaged, failure};
use super::state::{Channel, GroupState};
use super::transaction::{Durable, Durables};
use crate::BusError;

/// A group as the file has it.
pub(super) struct StoredGroup {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) durable: Durable,
    /// Entry, attempts, and when it is due in milliseconds since 1970.
    pub(super) returned: Vec<(u64, u32, i64)>,
}

impl StoredGroup {
    /// The oldest entry the group still needs.
    pub(super) fn floor(&self) -> u64 {
        let returned = self.returned.iter().map(|(seq, ..)| *seq).min();
        let open = self.durable.open.first().copied();
        returned
            .into_iter()
            .chain(open)
            .min()
            .unwrap_or(self.durable.delivered + 1)
    }

    pub(super) fn pending(&self) -> u64 {
        (self.durable.open.len() + self.returned.len()) as u64
    }
}

/// All channels with their groups, and what the writer knows of the groups.
pub(super) fn load(
    path: &Path,
    connection: &Connection,
    now_ms: i64,
) -> Result<(Vec<Channel>, Durables), BusError> {
    let mut durables = Durables::new();
    let channels = channels(connection).map_err(|error| failure(path, &error))?;
    for channel in &channels {
        for stored in groups(connection, channel).map_err(|error| failure(path, &error))? {
            check(path, channel, &stored)?;
            let state = state(&stored, channel.head(), now_ms);
            channel
                .groups
                .write()
                .insert(stored.name.clone(), state.into());
            durables.insert(stored.id, stored.durable);
        }
    }
    Ok((channels, durables))
}

/// All channels, without their groups.
pub(super) fn channels(connection: &Connection) -> rusqlite::Result<Vec<Channel>> {
    let mut select =
        connection.prepare_cached("SELECT id, name, incarnation, trimmed FROM channels")?;
    let rows = select.query_map([], |row| {
        let (id, trimmed): (i64, i64) = (row.get(0)?, row.get(3)?);
        Ok((
            Channel::new(id, &row.get::<_, String>(1)?, row.get(2)?),
            trimmed.cast_unsigned(),
        ))
    })?;
    let mut channels = Vec::new();
    for row in rows {
        let (channel, trimmed) = row?;
        channels.push(bounded(connection, channel, trimmed)?);
    }
    Ok(channels)
}

/// One channel, without its groups.
pub(super) fn channel(connection: &Connection, name: &str) -> rusqlite::Result<Option<Channel>> {
    let found = connection
        .prepare_cached("SELECT id, incarnation, trimmed FROM channels WHERE name = ?1")?
        .query_row(params![name], |row| {
            let trimmed: i64 = row.get(2)?;
            Ok((
                Channel::new(row.get(0)?, name, row.get(1)?),
                trimmed.cast_unsigned(),
            ))
        })
        .optional()?;
    found
        .map(|(channel, trimmed)| bounded(connection, channel, trimmed))
        .transpose()
}

/// Entries count without a hole; the newest two show whether the newest can be believed.
fn bounded(connection: &Connection, channel: Channel, trimmed: u64) -> rusqlite::Result<Channel> {
    let newest = format!(
        "SELECT seq, stored_at FROM entries_{} ORDER BY seq DESC LIMIT 2",
        channel.id
    );
    let mut newest = connection.prepare_cached(&newest)?;
    let newest = newest.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let newest: Vec<(i64, i64)> = newest.collect::<rusqlite::Result<_>>()?;
    let (head, last_stored_at) = newest.first().copied().unwrap_or_default();
    let before = newest
        .get(1)
        .map_or(trimmed, |(seq, _)| seq.cast_unsigned());
    let head = if newest.is_empty() {
        trimmed
    } else {
        head.cast_unsigned()
    };
    let whole = newest.is_empty() || before.checked_add(1) == Some(head);
    if !whole || head < trimmed || head > i64::MAX.cast_unsigned() {
        return Err(Damaged("a channel's entries do not follow each other").into());
    }
    Ok(channel.with_bounds(trimmed, head, last_stored_at))
}

/// The groups of a channel.
pub(super) fn groups(
    connection: &Connection,
    channel: &Channel,
) -> rusqlite::Result<Vec<StoredGroup>> {
    let mut select = connection.prepare_cached(
        "SELECT id, name, delivered, open FROM consumer_groups WHERE channel = ?1",
    )?;
    let rows = select.query_map(params![channel.id], |row| {
        let (delivered, open): (i64, Vec<u8>) = (row.get(2)?, row.get(3)?);
        let open = decode_sequences(&Bytes::from(open))?;
        let durable = Durable {
            delivered: delivered.cast_unsigned(),
            open,
        };
        Ok(StoredGroup {
            id: row.get(0)?,
            name: row.get(1)?,
            durable,
            returned: Vec::new(),
        })
    })?;
    let mut groups = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    for group in &mut groups {
        group.returned = returned(connection, group.id)?;
    }
    Ok(groups)
}

fn returned(connection: &Connection, group: i64) -> rusqlite::Result<Vec<(u64, u32, i64)>> {
    let mut select = connection.prepare_cached(
        "SELECT seq, attempts, due_at FROM returned WHERE consumer_group = ?1 ORDER BY seq",
    )?;
    let rows = select.query_map(params![group], |row| {
        let seq: i64 = row.get(0)?;
        Ok((seq.cast_unsigned(), row.get(1)?, row.get(2)?))
    })?;
    rows.collect()
}

/// Nothing is handed out before it is stored, and nothing goes before it was handed out. If the
/// file says otherwise, it cannot be trusted.
fn check(path: &Path, channel: &Channel, group: &StoredGroup) -> Result<(), BusError> {
    let delivered = group.durable.delivered;
    let open = group.durable.open.last().copied().unwrap_or(0);
    let returned = group
        .returned
        .iter()
        .map(|(seq, ..)| *seq)
        .max()
        .unwrap_or(0);
    let known = channel.trimmed()..=channel.head();
    if !known.contains(&delivered) || open.max(returned) > delivered {
        let reason = format!("group {} does not fit channel {}", group.name, channel.name);
        return Err(damaged(path, &reason));
    }
    Ok(())
}

fn state(stored: &StoredGroup, head: u64, now_ms: i64) -> GroupState {
    let now = Instant::now();
    let mut deliveries = Deliveries::new(stored.durable.delivered);
    for seq in &stored.durable.open {
        deliveries.restore(*seq, 1, now);
    }
    for &(seq, attempts, due_ms) in &stored.returned {
        let millis = u64::try_from(due_ms.saturating_sub(now_ms)).unwrap_or(0);
        deliveries.restore(seq, attempts, now + Duration::from_millis(millis));
    }
    GroupState::new(stored.id, &stored.name, head, deliveries)
}
