//! Tables: a hash of values, a counter, and a capped stream of changes; written by one script.

use ::redis::{Pipeline, Value, cmd};
use bytes::Bytes;

use super::channel::fresh_incarnation;
use super::{Call, Core, scripts, wire};
use crate::{BusError, Expect, PutOutcome, TableVersion, Versioned};

/// How many changes are kept for watchers; one that missed more is sent all values again.
const CHANGES_KEPT: usize = 1000;

/// All of a table at one moment.
pub(super) struct Snapshot {
    /// The table's.
    pub(super) version: TableVersion,
    pub(super) values: Vec<Versioned>,
}

pub(super) async fn get(
    core: &Core,
    table: &str,
    key: &str,
) -> Result<Option<Versioned>, BusError> {
    let keys = core.keys.table(table);
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.atomic();
    pipeline.cmd("HGET").arg(&keys.values).arg(key);
    pipeline.cmd("HGET").arg(&keys.meta).arg("incarnation");
    let [value, incarnation] = wire::tuple(core.link.repeat(Call::Pipeline(&pipeline)).await?)?;
    if value == Value::Nil || incarnation == Value::Nil {
        return Ok(None);
    }
    versioned(key.to_owned(), value, &wire::text(incarnation)?).map(Some)
}

/// The table's incarnation and the number of its last change; an empty one while it was never written,
/// or was lost.
pub(super) async fn version(core: &Core, table: &str) -> Result<TableVersion, BusError> {
    let mut ask = cmd("HMGET");
    ask.arg(core.keys.table(table).meta)
        .arg("incarnation")
        .arg("n");
    version_of(core.link.repeat(Call::Command(&ask)).await?)
}

fn version_of(meta: Value) -> Result<TableVersion, BusError> {
    let [incarnation, n] = wire::tuple(meta)?;
    if incarnation == Value::Nil {
        return Ok(TableVersion {
            incarnation: String::new(),
            n: 0,
        });
    }
    Ok(TableVersion {
        incarnation: wire::text(incarnation)?,
        n: parse_number(&wire::text(n)?)?,
    })
}

pub(super) async fn snapshot(core: &Core, table: &str) -> Result<Snapshot, BusError> {
    let keys = core.keys.table(table);
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.atomic();
    pipeline.cmd("HGETALL").arg(&keys.values);
    pipeline
        .cmd("HMGET")
        .arg(&keys.meta)
        .arg("incarnation")
        .arg("n");
    let [values, meta] = wire::tuple(core.link.repeat(Call::Pipeline(&pipeline)).await?)?;
    let version = version_of(meta)?;
    if version.incarnation.is_empty() {
        return Ok(Snapshot {
            version,
            values: Vec::new(),
        });
    }
    let mut flat = wire::list(values)?.into_iter();
    let mut values = Vec::with_capacity(flat.len() / 2);
    while let (Some(key), Some(value)) = (flat.next(), flat.next()) {
        values.push(versioned(wire::text(key)?, value, &version.incarnation)?);
    }
    values.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Snapshot { version, values })
}

/// Puts a value, or deletes where there is none. Sent once: after a lost answer the caller has to
/// look, because its own write would be the conflict of a second attempt.
pub(super) async fn write(
    core: &Core,
    table: &str,
    key: &str,
    value: Option<Bytes>,
    expect: Expect,
) -> Result<PutOutcome, BusError> {
    let keys = core.keys.table(table);
    let blind = matches!(expect, Expect::Any);
    let (kind, version) = match expect {
        Expect::Any => ("any", None),
        Expect::Absent => ("absent", None),
        Expect::Version(version) => ("version", Some(version)),
    };
    let (incarnation, n) = version.map_or_else(
        || (String::new(), String::new()),
        |version| (version.incarnation, version.n.to_string()),
    );
    let mut call = scripts::TABLE_WRITE.prepare_invoke();
    call.key(keys.values).key(keys.meta).key(keys.changes);
    call.arg(if value.is_some() { "put" } else { "delete" })
        .arg(key);
    call.arg(value.as_deref().unwrap_or_default())
        .arg(kind)
        .arg(incarnation)
        .arg(n);
    call.arg(fresh_incarnation()).arg(CHANGES_KEPT);
    let call = Call::Script(&call);
    let reply = if blind {
        core.link.repeat(call).await?
    } else {
        core.link.once(call).await?
    };
    let [stored, incarnation, rest] = wire::tuple(reply)?;
    let incarnation = wire::text(incarnation)?;
    if wire::number(&stored)? == 1 {
        let n = wire::number(&rest)?;
        return Ok(PutOutcome::Stored(TableVersion { incarnation, n }));
    }
    let current = match rest {
        Value::Nil => None,
        value => Some(versioned(key.to_owned(), value, &incarnation)?),
    };
    Ok(PutOutcome::Conflict(current))
}

/// One change, as the change stream has it.
pub(super) struct Change {
    pub(super) n: u64,
    pub(super) key: String,
    /// None: deleted.
    pub(super) value: Option<Bytes>,
}

/// Up to `most` changes behind the `n`th.
pub(super) async fn changes(
    core: &Core,
    table: &str,
    n: u64,
    most: usize,
) -> Result<Vec<Change>, BusError> {
    let mut range = cmd("XRANGE");
    range
        .arg(core.keys.table(table).changes)
        .arg(format!("{}-0", n + 1))
        .arg("+");
    range.arg("COUNT").arg(most);
    let change = |(id, record): wire::RawEntry| {
        let value = record.get("value").cloned();
        Change {
            n: id.major,
            key: record.text("key").unwrap_or_default().to_owned(),
            value,
        }
    };
    let found = wire::entries(core.link.repeat(Call::Command(&range)).await?)?;
    Ok(found.into_iter().map(change).collect())
}

/// A value as the hash has it: its number, a space, its bytes.
fn versioned(key: String, value: Value, incarnation: &str) -> Result<Versioned, BusError> {
    let mut stored = wire::bytes(value)?;
    let space = stored
        .iter()
        .position(|byte| *byte == b' ')
        .ok_or_else(|| {
            BusError::Protocol(format!("the value of `{key}` was not written by a bus"))
        })?;
    let number = stored.split_to(space);
    let n = parse_number(&String::from_utf8_lossy(&number))?;
    let version = TableVersion {
        incarnation: incarnation.to_owned(),
        n,
    };
    Ok(Versioned {
        key,
        value: stored.slice(1..),
        version,
    })
}

fn parse_number(text: &str) -> Result<u64, BusError> {
    let bad = |_| BusError::Protocol(format!("`{text}` is not the number of a change"));
    text.parse().map_err(bad)
}
