//! What is kept no longer, organisation by organisation.

use nexus_contracts::Timestamp;
use nexus_store::{TenantRef, Value};

use super::uuid;
use crate::error::Error;

/// Until when what is kept.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    /// Inbox rows and delivered answers older than this are forgotten.
    pub repetitions: Timestamp,
    /// Journal rows that a snapshot older than this stands for are forgotten.
    pub history: Option<Timestamp>,
}

/// Forgets what an organisation keeps no longer; gives how many rows that were.
///
/// # Errors
/// When the database refuses.
pub async fn prune(tx: &TenantRef<'_>, before: Before) -> Result<u64, Error> {
    let by_time = |at: Timestamp| vec![uuid(tx.org().0), Value::from(at.as_millis())];
    let mut gone = 0;
    for sql in [
        "DELETE FROM inbox WHERE org_id = $1 AND at < $2",
        "DELETE FROM answer WHERE org_id = $1 AND at < $2",
    ] {
        gone += tx.execute(sql, by_time(before.repetitions)).await?;
    }
    if let Some(at) = before.history {
        for sql in [JOURNAL, SNAPSHOTS] {
            gone += tx.execute(sql, by_time(at)).await?;
        }
    }
    Ok(gone)
}

/// What the newest snapshot that is old enough stands for: every conversation can still be folded
/// from there.
const JOURNAL: &str = "DELETE FROM journal WHERE org_id = $1 AND seq <= \
    (SELECT MAX(seq) FROM snapshot WHERE snapshot.org_id = journal.org_id \
    AND snapshot.conversation_id = journal.conversation_id AND snapshot.at < $2)";

/// All before that one.
const SNAPSHOTS: &str = "DELETE FROM snapshot WHERE org_id = $1 AND seq < \
    (SELECT MAX(later.seq) FROM snapshot AS later WHERE later.org_id = snapshot.org_id \
    AND later.conversation_id = snapshot.conversation_id AND later.at < $2)";
