//! Forgetting: what was deleted at once, what has ended after a while.

use std::collections::BTreeMap;

use nexus_contracts::{OrgId, RunId, Timestamp};
use nexus_store::{TenantRef, Value};

use super::Messages;
use super::rows::{among, maybe_text, runs, settle, text};
use crate::Error;
use crate::erasure::Gone;
use crate::outbox::Key;

/// Most messages forgotten in one transaction: nobody waits longer for the one writer of `SQLite`.
const AT_ONCE: usize = 500;

impl Messages {
    /// Erases everything of these conversations in one commit, and leaves a mark that they were
    /// here. Gives what was erased.
    ///
    /// The wish to delete itself stays, to be answered: it names the conversation and nothing else.
    ///
    /// # Errors
    /// When the store cannot be written; nothing was erased then.
    pub async fn erase(&self, gone: &[Gone], now: Timestamp) -> Result<Vec<Key>, Error> {
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let mut by_org: BTreeMap<OrgId, Vec<&Gone>> = BTreeMap::new();
        for one in gone {
            by_org.entry(one.org).or_default().push(one);
        }
        let tx = self.store.begin_shared().await?;
        let mut erased = Vec::new();
        for (org, gone) in by_org {
            let tenant = tx.tenant(org);
            mark(&tenant, &gone, now).await?;
            let names: Vec<Value> = gone.iter().map(|one| text(&one.conversation)).collect();
            let sql = "DELETE FROM message WHERE org_id = $1 \
                       AND event_type <> 'conversation.delete' AND conversation_id IN";
            let rows = among(&tenant, (sql, "RETURNING run_id"), &names).await?;
            let runs = runs(&rows)?;
            forget_ends(&tenant, &runs).await?;
            erased.extend(runs.into_iter().map(|run| Key { org, run }));
        }
        settle(&tx, erased.iter().copied()).await?;
        tx.commit().await?;
        Ok(erased)
    }

    /// Forgets what had ended before this moment, a little at a time. Gives how many messages.
    ///
    /// # Errors
    /// When the store cannot be read or written; some may be forgotten then.
    pub async fn prune(&self, before: Timestamp) -> Result<u64, Error> {
        let mut forgotten = 0;
        for org in self.store.organisations().await? {
            let mut behind = String::new();
            loop {
                let runs = self.ended(org, before, &behind).await?;
                let Some(last) = runs.last() else { break };
                behind = last.to_string();
                forgotten += self.forget(org, &runs).await?;
            }
            let tx = self.store.begin(org).await?;
            let values = vec![text(&org), Value::from(before.as_millis())];
            let sql = "DELETE FROM erased WHERE org_id = $1 AND erased_at < $2";
            tx.execute(sql, values).await?;
            tx.commit().await?;
        }
        Ok(forgotten)
    }

    /// The next messages that had ended before this moment, in the order of their runs.
    async fn ended(
        &self,
        org: OrgId,
        before: Timestamp,
        behind: &str,
    ) -> Result<Vec<RunId>, Error> {
        let sql = format!(
            "SELECT a.run_id FROM answer a \
             JOIN message m ON m.org_id = a.org_id AND m.run_id = a.run_id \
             WHERE a.org_id = $1 AND a.run_id > $2 AND a.stored_at < $3 AND m.created_at < $3 \
             ORDER BY a.run_id LIMIT {AT_ONCE}"
        );
        let tx = self.store.read(org).await?;
        let before = Value::from(before.as_millis());
        let values = vec![text(&org), Value::from(behind), before];
        runs(&tx.query(&sql, values).await?)
    }

    async fn forget(&self, org: OrgId, runs: &[RunId]) -> Result<u64, Error> {
        let tx = self.store.begin(org).await?;
        let tenant = tx.as_ref();
        let names: Vec<Value> = runs.iter().map(text).collect();
        let sql = "DELETE FROM message WHERE org_id = $1 AND run_id IN";
        let gone = among(&tenant, (sql, "RETURNING run_id"), &names).await?;
        forget_ends(&tenant, runs).await?;
        tx.commit().await?;
        Ok(gone.len() as u64)
    }
}

async fn mark(tenant: &TenantRef<'_>, gone: &[&Gone], now: Timestamp) -> Result<(), Error> {
    let values = gone.iter().flat_map(|one| {
        [
            text(&one.org),
            text(&one.conversation),
            maybe_text(one.user.as_ref()),
            Value::from(now.as_millis()),
        ]
    });
    let before = "INSERT INTO erased (org_id, conversation_id, user_id, erased_at) VALUES";
    tenant
        .execute_rows(before, "ON CONFLICT DO NOTHING", 4, values.collect())
        .await?;
    Ok(())
}

/// Answers to and approvals in these runs.
async fn forget_ends(tenant: &TenantRef<'_>, runs: &[RunId]) -> Result<(), Error> {
    let names: Vec<Value> = runs.iter().map(text).collect();
    for table in ["answer", "approval"] {
        let sql = format!("DELETE FROM {table} WHERE org_id = $1 AND run_id IN");
        among(tenant, (&sql, "RETURNING run_id"), &names).await?;
    }
    Ok(())
}
