//! Where a branch leaves its parent.
//!
//! A branch shows what its parent had before the run whose message was replaced: what was accepted
//! or answered before that message was accepted. Until its acceptance is known, the moment of the
//! branch stands for it.

use nexus_store::{TenantRef, Value};

use super::{execute_listed, org};
use crate::changes::{Changes, NEVER};
use crate::error::Error;

/// Keeps branches, those of conversations that are gone too: what descends from them goes on
/// through them. Parents that are gone are held again; [`super::erase::release`] looks whether that
/// is needed.
pub(super) async fn insert(tx: &TenantRef<'_>, changes: &Changes) -> Result<(), Error> {
    if changes.branches.is_empty() {
        return Ok(());
    }
    let mut values = Vec::with_capacity(changes.branches.len() * 5);
    for (conversation, row) in &changes.branches {
        values.extend([
            org(tx),
            Value::from(conversation.clone()),
            Value::from(row.parent.clone()),
            Value::from(row.run_id.clone()),
            Value::from(row.at),
        ]);
    }
    let head = "INSERT INTO branch (org_id, conversation_id, parent, run_id, at) VALUES";
    tx.execute_rows(head, "ON CONFLICT DO NOTHING", 5, values)
        .await?;
    let sql = "UPDATE erased SET held = 1 WHERE org_id = $1 \
               AND conversation_id IN (SELECT parent FROM branch WHERE branch.org_id = $1)";
    tx.execute(sql, vec![org(tx)]).await?;
    Ok(())
}

/// Notes where these runs were accepted for the branches that leave there; gives whether any moved.
pub(super) async fn cut(tx: &TenantRef<'_>, runs: &[String]) -> Result<bool, Error> {
    let sql = format!(
        "UPDATE branch SET cut = said.at FROM said WHERE branch.org_id = $1 \
         AND said.org_id = branch.org_id AND said.place = branch.run_id || '/0' \
         AND said.at < {NEVER} AND (branch.cut IS NULL OR said.at < branch.cut) \
         AND branch.run_id IN"
    );
    Ok(execute_listed(tx, &sql, runs).await? > 0)
}
