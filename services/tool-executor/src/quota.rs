//! How often an organisation may call a tool: counted in this service's database, so that all
//! replicas count together and a restart forgets nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_contracts::{MessageId, OrgId, Timestamp};
use nexus_store::{Store, StoreError, Value};
use serde::{Deserialize, Serialize};

/// Most calls of a tool within a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Most calls.
    pub calls: u64,
    /// The length of a window; the first begins at 1970-01-01, and the others follow.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub per: Duration,
}

impl Quota {
    /// When the window began that a moment is in, and when it ends.
    #[must_use]
    pub fn window(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let length = i64::try_from(self.per.as_millis())
            .unwrap_or(i64::MAX)
            .max(1);
        let began = now.as_millis().div_euclid(length).saturating_mul(length);
        let began = Timestamp::from_millis(began);
        (began, began.plus_millis(length))
    }
}

/// The quotas, and what is used of them.
#[derive(Clone)]
pub struct Quotas {
    store: Store,
    quotas: BTreeMap<String, Quota>,
}

/// What is used of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Used {
    /// Calls in this window.
    pub calls: u64,
    /// Most calls of a window.
    pub of: u64,
    /// When the next window begins, in milliseconds since 1970.
    pub until: i64,
}

/// How long it is known that a call was counted: longer than any is begun again.
const KNOWN_MS: i64 = 7 * 24 * 60 * 60 * 1000;

const FORGET: &str = "DELETE FROM tool_quota_call WHERE org_id = $1 AND tool = $2 AND at < $3";

const MARK: &str = "INSERT INTO tool_quota_call (org_id, tool, id, at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (org_id, tool, id) DO NOTHING";

const COUNT: &str = "INSERT INTO tool_quota (org_id, tool, began, calls) VALUES ($1, $2, $3, 1) \
    ON CONFLICT (org_id, tool) DO UPDATE SET \
    calls = CASE WHEN tool_quota.began = excluded.began THEN tool_quota.calls + 1 ELSE 1 END, \
    began = excluded.began WHERE tool_quota.org_id = $1";

const READ: &str = "SELECT calls FROM tool_quota WHERE org_id = $1 AND tool = $2 AND began = $3";

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It is counted, or was before, or the tool has no quota.
    Within,
    /// It is one too many, and not counted.
    Over(Used),
}

impl Quotas {
    /// Quotas by the names of tools; `*` is for each that is not named.
    #[must_use]
    pub const fn new(store: Store, quotas: BTreeMap<String, Quota>) -> Self {
        Self { store, quotas }
    }

    fn of(&self, tool: &str) -> Option<Quota> {
        let found = self.quotas.get(tool).or_else(|| self.quotas.get("*"));
        found.copied()
    }

    /// Counts a call, once however often it is asked. One too many is not counted.
    ///
    /// # Errors
    /// When the database fails; nothing was counted then.
    pub async fn count(
        &self,
        org: OrgId,
        tool: &str,
        id: &MessageId,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        let Some(quota) = self.of(tool) else {
            return Ok(Counted::Within);
        };
        let of_window = || values(org, tool, quota.window(now).0);
        let marked = vec![
            Value::from(org.to_string()),
            Value::from(tool),
            Value::from(id.as_str()),
            Value::from(now.as_millis()),
        ];
        let tx = self.store.begin(org).await?;
        if tx.execute(MARK, marked).await? == 0 {
            return Ok(Counted::Within);
        }
        tx.execute(COUNT, of_window()).await?;
        let used = read(&tx, (org, tool), quota, now).await?;
        if used.calls > used.of {
            // Dropped, the transaction leaves nothing.
            return Ok(Counted::Over(used));
        }
        if used.calls == 1 {
            let long_ago = now.plus_millis(-KNOWN_MS);
            tx.execute(FORGET, values(org, tool, long_ago)).await?;
        }
        tx.commit().await?;
        Ok(Counted::Within)
    }

    /// What is used of a tool's quota; `None` where it has none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn used(
        &self,
        org: OrgId,
        tool: &str,
        now: Timestamp,
    ) -> Result<Option<Used>, StoreError> {
        let Some(quota) = self.of(tool) else {
            return Ok(None);
        };
        let tx = self.store.read(org).await?;
        let used = read(&tx, (org, tool), quota, now).await?;
        tx.commit().await?;
        Ok(Some(used))
    }
}

async fn read(
    tx: &nexus_store::TenantTx,
    (org, tool): (OrgId, &str),
    quota: Quota,
    now: Timestamp,
) -> Result<Used, StoreError> {
    let (began, until) = quota.window(now);
    let rows = tx.query(READ, values(org, tool, began)).await?;
    let calls: i64 = match rows.first() {
        Some(row) => row.get("calls")?,
        None => 0,
    };
    Ok(Used {
        calls: calls.unsigned_abs(),
        of: quota.calls,
        until: until.as_millis(),
    })
}

fn values(org: OrgId, tool: &str, began: Timestamp) -> Vec<Value> {
    vec![
        Value::from(org.to_string()),
        Value::from(tool),
        Value::from(began.as_millis()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_each_other_without_a_gap() {
        let quota = Quota {
            calls: 1,
            per: Duration::from_secs(60),
        };
        let at = Timestamp::from_millis;
        assert_eq!(quota.window(at(60_000)), (at(60_000), at(120_000)));
        assert_eq!(quota.window(at(119_999)), (at(60_000), at(120_000)));
        assert_eq!(quota.window(at(-1)), (at(-60_000), at(0)));
    }
}
