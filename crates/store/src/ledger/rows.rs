//! The ledger's table.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use nexus_contracts::{OrgId, Timestamp};

use super::EffectClass;
use super::batch::Key;
use super::decide::{Effect, InTable, Slot};
use crate::session::Row;
use crate::tx::{SharedTx, TenantRef};
use crate::{InList, StoreError, StoreKind, Value};

const COLUMNS: usize = 11;
const INSERT: &str = "INSERT INTO effect (org_id, id, class, epoch, attempt, lease_until, \
     expires_at, completed_at, result, about, erased) VALUES";
const UNLESS_THERE: &str = "ON CONFLICT DO NOTHING";
/// Rows were read, under a lock, before they are written; the conditions say once more what must
/// hold, and the number of rows changed tells if it did not.
const OVER_THE_OLD: &str = "ON CONFLICT (org_id, id) DO UPDATE SET epoch = excluded.epoch, \
     attempt = excluded.attempt, lease_until = excluded.lease_until, \
     expires_at = excluded.expires_at, completed_at = excluded.completed_at, \
     result = excluded.result, about = excluded.about \
     WHERE effect.result IS NULL AND effect.erased = 0 AND effect.epoch <= excluded.epoch";

/// Something else is kept in the place of what is over.
const IN_ITS_PLACE: &str = "ON CONFLICT (org_id, id) DO UPDATE SET class = excluded.class, \
     epoch = excluded.epoch, attempt = excluded.attempt, lease_until = excluded.lease_until, \
     expires_at = excluded.expires_at, completed_at = excluded.completed_at, \
     result = excluded.result, about = excluded.about, erased = excluded.erased \
     WHERE effect.epoch < excluded.epoch";

/// Where a slice of rows to prune ends; nothing when fewer rows than a slice are left.
pub(super) const PRUNE_SLICE: &str = "SELECT expires_at FROM effect \
     WHERE org_id = $1 AND expires_at <= $2 ORDER BY expires_at LIMIT 1 OFFSET $3";
/// Removes the rows of a slice that nobody works on.
pub(super) const PRUNE: &str = "DELETE FROM effect WHERE org_id = $1 AND expires_at <= $2 \
     AND (lease_until IS NULL OR lease_until <= $3)";

/// Waits for claims that are being decided, and lets none begin: each sees the erasure or is seen
/// by it. (On `SQLite` the transaction is the only writer.)
const ALONE: &str = "LOCK TABLE effect IN EXCLUSIVE MODE";
/// Empties results for good and takes the claims of those who are at it.
const ERASE: &str = "UPDATE effect SET result = NULL, lease_until = NULL, epoch = epoch + 1, \
     erased = 1 WHERE org_id = $1 AND about = $2 AND erased = 0";

/// Reads the rows of these keys and, on `PostgreSQL`, locks them, always in the same order, so that
/// replicas wait for each other in line. (On `SQLite` the transaction is the only writer.)
pub(super) async fn load(
    tx: &SharedTx,
    keys: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, Slot>, StoreError> {
    let mut by_org: BTreeMap<OrgId, Vec<String>> = BTreeMap::new();
    for key in keys {
        by_org.entry(key.org).or_default().push(key.id.clone());
    }
    let mut slots = BTreeMap::new();
    for (org, ids) in by_org {
        load_of(&tx.tenant(org), &ids, &mut slots).await?;
    }
    Ok(slots)
}

async fn load_of(
    tx: &TenantRef<'_>,
    ids: &[String],
    slots: &mut BTreeMap<Key, Slot>,
) -> Result<(), StoreError> {
    let lock = match tx.kind() {
        StoreKind::Postgres => "ORDER BY id COLLATE \"C\" FOR UPDATE",
        StoreKind::Sqlite => "",
    };
    let org = tx.org();
    for list in InList::chunks(ids, 2) {
        let sql = format!(
            "SELECT * FROM effect WHERE org_id = $1 AND id IN {} {lock}",
            list.text
        );
        let values = std::iter::once(Value::from(org.to_string())).chain(list.values);
        for row in tx.query(&sql, values.collect()).await? {
            let id = row.get("id")?;
            slots.insert(Key { org, id }, Slot::stored(effect(&row)?));
        }
    }
    Ok(())
}

/// Writes what changed, with the commit. Where a row appeared or changed meanwhile, that fails with
/// [`StoreError::Overtaken`].
pub(super) async fn store(tx: &SharedTx, slots: BTreeMap<Key, Slot>) -> Result<(), StoreError> {
    let mut changed: BTreeMap<(OrgId, &str), Vec<Value>> = BTreeMap::new();
    for (key, slot) in slots {
        if let (true, Some(effect)) = (slot.changed, slot.effect) {
            let conflict = match slot.stored {
                InTable::Nothing => UNLESS_THERE,
                InTable::Earlier => OVER_THE_OLD,
                InTable::Another => IN_ITS_PLACE,
            };
            let rows = changed.entry((key.org, conflict)).or_default();
            rows.extend(values(key, effect));
        }
    }
    for ((org, conflict), rows) in changed {
        let tx = tx.tenant(org);
        tx.later_all_rows(INSERT, conflict, COLUMNS, rows).await?;
    }
    Ok(())
}

/// Erases what there is about something, and notes that it is gone.
pub(super) async fn erase(tx: &TenantRef<'_>, about: &str) -> Result<u64, StoreError> {
    let org = tx.org();
    if tx.kind() == StoreKind::Postgres {
        tx.lock(ALONE).await;
    }
    let values = vec![Value::from(org.to_string()), Value::from(about)];
    let erased = tx.execute(ERASE, values).await?;
    let key = Key::erasure(org, about);
    tx.execute_rows(INSERT, UNLESS_THERE, COLUMNS, values_of_erasure(key).into())
        .await?;
    Ok(erased)
}

fn values_of_erasure(key: Key) -> [Value; COLUMNS] {
    let gone = Effect {
        class: EffectClass::AtMostOnce,
        epoch: 0,
        attempt: 0,
        lease_until: None,
        // What is gone is gone for good: its id is never used again.
        expires_at: Timestamp::from_millis(i64::MAX),
        result: None,
        about: None,
        erased: true,
    };
    values(key, gone)
}

fn values(key: Key, effect: Effect) -> [Value; COLUMNS] {
    let (completed_at, result) = effect.result.unzip();
    [
        Value::from(key.org.to_string()),
        Value::from(key.id),
        Value::from(name(effect.class)),
        Value::from(i64::try_from(effect.epoch).unwrap_or(i64::MAX)),
        Value::from(i64::from(effect.attempt)),
        Value::from(effect.lease_until.map(Timestamp::as_millis)),
        Value::from(effect.expires_at.as_millis()),
        Value::from(completed_at.map(Timestamp::as_millis)),
        Value::from(result.map(Vec::from)),
        Value::from(effect.about),
        Value::from(i64::from(effect.erased)),
    ]
}

fn effect(row: &Row) -> Result<Effect, StoreError> {
    let class: String = row.get("class")?;
    let (epoch, attempt): (i64, i64) = (row.get("epoch")?, row.get("attempt")?);
    let lease_until: Option<i64> = row.get("lease_until")?;
    let completed_at: Option<i64> = row.get("completed_at")?;
    let result: Option<Vec<u8>> = row.get("result")?;
    let erased: i64 = row.get("erased")?;
    Ok(Effect {
        class: class_of(&class),
        epoch: u64::try_from(epoch).unwrap_or_default(),
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        lease_until: lease_until.map(Timestamp::from_millis),
        expires_at: Timestamp::from_millis(row.get("expires_at")?),
        result: completed_at
            .map(Timestamp::from_millis)
            .zip(result.map(Bytes::from)),
        about: row.get("about")?,
        erased: erased != 0,
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
