//! The ledger's table.

use std::collections::BTreeMap;

use bytes::Bytes;
use nexus_contracts::Timestamp;
use sea_orm::{DbBackend, Value};

use super::EffectClass;
use super::batch::Key;
use super::decide::{Effect, Slot};
use crate::tx::SharedTx;
use crate::{Row, StoreError, placeholders};

const COLUMNS: usize = 9;
const INSERT: &str = "INSERT INTO effect \
     (org_id, id, class, epoch, attempt, lease_until, expires_at, completed_at, result) VALUES";
const UNLESS_THERE: &str = "ON CONFLICT DO NOTHING";
/// Rows were read, under a lock, before they are written; the conditions say once more what must
/// hold, and the number of rows changed tells if it did not.
const OVER_THE_OLD: &str = "ON CONFLICT (org_id, id) DO UPDATE SET epoch = excluded.epoch, \
     attempt = excluded.attempt, lease_until = excluded.lease_until, \
     expires_at = excluded.expires_at, completed_at = excluded.completed_at, \
     result = excluded.result \
     WHERE effect.result IS NULL AND effect.epoch <= excluded.epoch";

/// Where a slice of rows to prune ends; nothing when fewer rows than a slice are left.
pub(super) const PRUNE_SLICE: &str =
    "SELECT expires_at FROM effect WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1 OFFSET $2";
/// Removes the rows of a slice that nobody works on.
pub(super) const PRUNE: &str = "DELETE FROM effect WHERE expires_at <= $1 \
     AND (lease_until IS NULL OR lease_until <= $2)";

/// Keys read by one statement.
const KEYS: usize = 64;

/// Reads the rows of these keys and, on `PostgreSQL`, locks them, always in the same order, so that
/// replicas wait for each other in line. (On `SQLite` the transaction is the only writer.)
pub(super) async fn load(
    tx: &SharedTx,
    keys: impl ExactSizeIterator<Item = &Key>,
) -> Result<BTreeMap<Key, Slot>, StoreError> {
    let keys: Vec<&Key> = keys.collect();
    let lock = match tx.tx().backend() {
        DbBackend::Postgres => {
            "ORDER BY e.org_id COLLATE \"C\", e.id COLLATE \"C\" FOR UPDATE OF e"
        }
        _ => "",
    };
    let mut slots = BTreeMap::new();
    for keys in keys.chunks(KEYS) {
        // Filled up to a power of two with the last key, so that few texts are prepared.
        let size = keys.len().next_power_of_two();
        let filled = keys
            .iter()
            .chain(keys.last().into_iter().cycle())
            .take(size);
        let values = filled.flat_map(|key| [Value::from(&key.org), Value::from(&key.id)]);
        let wanted = placeholders(size, 2);
        // The cross join makes SQLite look every key up; with IN it would read the whole table.
        let sql = format!(
            "SELECT e.* FROM (VALUES {wanted}) AS k CROSS JOIN effect e \
             WHERE e.org_id = k.column1 AND e.id = k.column2 {lock}"
        );
        for row in tx.query(&sql, values.collect()).await? {
            let key = Key {
                org: row.get("org_id")?,
                id: row.get("id")?,
            };
            slots.insert(key, Slot::stored(effect(&row)?));
        }
    }
    Ok(slots)
}

/// Writes what changed. False: a row appeared or changed meanwhile, and nothing may be committed.
pub(super) async fn store(tx: &SharedTx, slots: BTreeMap<Key, Slot>) -> Result<bool, StoreError> {
    let (mut new, mut old) = (Vec::new(), Vec::new());
    for (key, slot) in slots {
        if let (true, Some(effect)) = (slot.changed, slot.effect) {
            if slot.stored { &mut old } else { &mut new }.extend(values(key, effect));
        }
    }
    for (rows, conflict) in [(new, UNLESS_THERE), (old, OVER_THE_OLD)] {
        let expected = (rows.len() / COLUMNS) as u64;
        if expected > 0 && tx.execute_rows(INSERT, conflict, COLUMNS, rows).await? != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

fn values(key: Key, effect: Effect) -> [Value; COLUMNS] {
    let (completed_at, result) = effect.result.unzip();
    [
        Value::from(key.org),
        Value::from(key.id),
        Value::from(name(effect.class)),
        Value::from(i64::try_from(effect.epoch).unwrap_or(i64::MAX)),
        Value::from(i64::from(effect.attempt)),
        Value::from(effect.lease_until.map(Timestamp::as_millis)),
        Value::from(effect.expires_at.as_millis()),
        Value::from(completed_at.map(Timestamp::as_millis)),
        Value::from(result.map(Vec::from)),
    ]
}

fn effect(row: &Row) -> Result<Effect, StoreError> {
    let class: String = row.get("class")?;
    let (epoch, attempt): (i64, i64) = (row.get("epoch")?, row.get("attempt")?);
    let lease_until: Option<i64> = row.get("lease_until")?;
    let completed_at: Option<i64> = row.get("completed_at")?;
    let result: Option<Vec<u8>> = row.get("result")?;
    Ok(Effect {
        class: class_of(&class),
        epoch: u64::try_from(epoch).unwrap_or_default(),
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        lease_until: lease_until.map(Timestamp::from_millis),
        expires_at: Timestamp::from_millis(row.get("expires_at")?),
        result: completed_at
            .map(Timestamp::from_millis)
            .zip(result.map(Bytes::from)),
    })
}

const fn name(class: EffectClass) -> &'static str {
    match class {
        EffectClass::Inference => "inference",
        EffectClass::ReadOnly => "read_only",
        EffectClass::Idempotent => "idempotent",
        EffectClass::AtMostOnce => "at_most_once",
    }
}

/// A word this program does not know is taken for the class that never runs again.
fn class_of(name: &str) -> EffectClass {
    [
        EffectClass::Inference,
        EffectClass::ReadOnly,
        EffectClass::Idempotent,
    ]
    .into_iter()
    .find(|class| self::name(*class) == name)
    .unwrap_or(EffectClass::AtMostOnce)
}
