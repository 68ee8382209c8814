//! Erasing conversations.
//!
//! A tombstone without content stays, so that what arrives later is not stored again. What a
//! deleted conversation said is kept as long as a branch that lives shows it, and no longer: such a
//! conversation is held.

use std::collections::BTreeMap;

use nexus_store::{TenantRef, Value};

use super::{execute_listed, org, query_listed};
use crate::changes::Changes;
use crate::error::Error;
use crate::metrics;

/// Which of these conversations are gone, and whether they are held.
pub(super) async fn gone(
    tx: &TenantRef<'_>,
    ids: &[String],
) -> Result<BTreeMap<String, bool>, Error> {
    let sql = "SELECT conversation_id, held FROM erased WHERE org_id = $1 AND conversation_id IN";
    let rows = query_listed(tx, sql, ids).await?;
    let gone = rows.iter().map(|row| {
        let held: i64 = row.get("held")?;
        Ok((row.get("conversation_id")?, held != 0))
    });
    gone.collect()
}

/// Leaves tombstones of what was deleted; gives those that are new and adds them to what is gone.
pub(super) async fn mark(
    tx: &TenantRef<'_>,
    changes: &Changes,
    gone: &mut BTreeMap<String, bool>,
) -> Result<Vec<String>, Error> {
    let new = changes
        .deleted
        .iter()
        .filter(|(id, _)| !gone.contains_key(*id));
    let new: Vec<(String, i64)> = new.map(|(id, at)| (id.clone(), *at)).collect();
    let mut values = Vec::with_capacity(new.len() * 4);
    for (id, at) in &new {
        values.extend([
            org(tx),
            Value::from(id.clone()),
            Value::from(*at),
            Value::from(1_i64),
        ]);
        gone.insert(id.clone(), true);
    }
    let head = "INSERT INTO erased (org_id, conversation_id, at, held) VALUES";
    tx.execute_rows(head, "ON CONFLICT DO NOTHING", 4, values)
        .await?;
    Ok(new.into_iter().map(|(id, _)| id).collect())
}

/// Erases everything of these conversations but what was said; that is for [`release`].
pub(super) async fn erase(tx: &TenantRef<'_>, ids: &[String]) -> Result<(), Error> {
    for sql in [
        "DELETE FROM archive WHERE org_id = $1 AND conversation_id IN",
        "DELETE FROM run WHERE org_id = $1 AND conversation_id IN",
        "DELETE FROM summary WHERE org_id = $1 AND conversation_id IN",
        "DELETE FROM conversation WHERE org_id = $1 AND id IN",
    ] {
        execute_listed(tx, sql, ids).await?;
    }
    metrics::erased(ids.len());
    Ok(())
}

/// Up to which moment branches that live show what a conversation said.
const SHOWN_UNTIL: &str = "WITH RECURSIVE kin (id, cut) AS (\
    SELECT branch.conversation_id, COALESCE(branch.cut, branch.at) FROM branch \
    WHERE branch.org_id = $1 AND branch.parent = $2 \
    UNION SELECT branch.conversation_id, CASE WHEN COALESCE(branch.cut, branch.at) < kin.cut \
    THEN COALESCE(branch.cut, branch.at) ELSE kin.cut END \
    FROM kin JOIN branch ON branch.parent = kin.id WHERE branch.org_id = $1) \
    SELECT MAX(kin.cut) AS until FROM kin WHERE NOT EXISTS \
    (SELECT 1 FROM erased WHERE erased.org_id = $1 AND erased.conversation_id = kin.id)";

/// Erases what deleted conversations said and no branch shows any more. What comes later does not
/// show it again: cuts only move back, and an acceptance that is told again tells the same moment.
/// Only a failure counts as a refusal until the run's acceptance has been read.
pub(super) async fn release(tx: &TenantRef<'_>) -> Result<(), Error> {
    let sql = "SELECT conversation_id FROM erased WHERE org_id = $1 AND held = 1";
    for row in tx.query(sql, vec![org(tx)]).await? {
        let id: String = row.get("conversation_id")?;
        let about = || vec![org(tx), Value::from(id.clone())];
        let found = tx.query(SHOWN_UNTIL, about()).await?;
        let until = found.first().map(|row| row.get::<Option<i64>>("until"));
        if let Some(until) = until.transpose()?.flatten() {
            // The empty row stays: it knows where a question stands whose text comes later.
            let sql = "UPDATE said SET text = NULL, words = NULL, told_at = NULL, provider = NULL, \
                       model = NULL, extra = NULL \
                       WHERE org_id = $1 AND conversation_id = $2 AND at >= $3 \
                       AND text IS NOT NULL";
            let values = about().into_iter().chain([Value::from(until)]);
            tx.execute(sql, values.collect()).await?;
        } else {
            let sql = "DELETE FROM said WHERE org_id = $1 AND conversation_id = $2";
            tx.execute(sql, about()).await?;
            let sql = "UPDATE erased SET held = 0 WHERE org_id = $1 AND conversation_id = $2";
            tx.execute(sql, about()).await?;
        }
    }
    Ok(())
}
