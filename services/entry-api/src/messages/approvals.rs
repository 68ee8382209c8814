//! Tool calls that wait for a person.

use nexus_contracts::events::ApprovalRequested;
use nexus_contracts::{MessageId, OrgId, RunId, Timestamp, UserId};
use nexus_store::{Row, Value};

use super::Messages;
use super::rows::text;
use crate::Error;

/// A tool call that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// What is asked.
    pub request: ApprovalRequested,
    /// When.
    pub asked_at: Timestamp,
}

/// Where a page of approvals begins: behind the one with this time and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// When it was asked, in milliseconds.
    pub asked_at: i64,
    /// Its id.
    pub id: String,
}

impl Before {
    /// Behind nothing: the first page.
    #[must_use]
    pub const fn first() -> Self {
        Self {
            asked_at: i64::MIN,
            id: String::new(),
        }
    }

    /// Behind this one.
    #[must_use]
    pub fn behind(approval: &Approval) -> Self {
        Self {
            asked_at: approval.asked_at.as_millis(),
            id: approval.request.approval_id.to_string(),
        }
    }

    /// Reads what its `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (asked_at, id) = text.split_once('_')?;
        Some(Self {
            asked_at: asked_at.parse().ok()?,
            id: id.to_owned(),
        })
    }
}

impl std::fmt::Display for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", self.asked_at, self.id)
    }
}

const COLUMNS: &str = "SELECT p.payload, p.asked_at FROM approval p WHERE p.org_id = $1";

/// Open: its time has not passed, its run goes on, and no decision of this adapter was accepted.
/// What was decided through another adapter is open here until the run ends; whoever decides it
/// again is told.
const OPEN: &str = "AND p.expires_at > $3 \
    AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.org_id = p.org_id AND a.run_id = p.run_id) \
    AND NOT EXISTS (SELECT 1 FROM message d JOIN answer o \
        ON o.org_id = d.org_id AND o.run_id = d.run_id \
        WHERE d.org_id = p.org_id AND d.approval_id = p.approval_id AND o.ending = 'accepted')";

impl Messages {
    /// The open approvals of a person, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_approvals(
        &self,
        (org, user): (OrgId, UserId),
        now: Timestamp,
        (behind, limit): (&Before, u32),
    ) -> Result<Vec<Approval>, Error> {
        let sql = format!(
            "{COLUMNS} AND p.user_id = $2 {OPEN} \
             AND (p.asked_at > $4 OR (p.asked_at = $4 AND p.approval_id > $5)) \
             ORDER BY p.asked_at, p.approval_id LIMIT {limit}"
        );
        let values = vec![
            text(&org),
            text(&user),
            Value::from(now.as_millis()),
            Value::from(behind.asked_at),
            Value::from(behind.id.as_str()),
        ];
        self.approvals(org, &sql, values).await
    }

    /// The open approvals of a run, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approvals_of(
        &self,
        org: OrgId,
        run: RunId,
        now: Timestamp,
    ) -> Result<Vec<Approval>, Error> {
        let sql = format!("{COLUMNS} AND p.run_id = $2 {OPEN} ORDER BY p.asked_at, p.approval_id");
        let values = vec![text(&org), text(&run), Value::from(now.as_millis())];
        self.approvals(org, &sql, values).await
    }

    /// All approvals of a run, open or not, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn asked_in(&self, org: OrgId, run: RunId) -> Result<Vec<Approval>, Error> {
        let sql = format!("{COLUMNS} AND p.run_id = $2 ORDER BY p.asked_at, p.approval_id");
        self.approvals(org, &sql, vec![text(&org), text(&run)])
            .await
    }

    /// An approval of a person, open or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approval(
        &self,
        (org, user): (OrgId, UserId),
        id: &MessageId,
    ) -> Result<Option<Approval>, Error> {
        let sql = format!("{COLUMNS} AND p.user_id = $2 AND p.approval_id = $3");
        let values = vec![text(&org), text(&user), text(id)];
        Ok(self.approvals(org, &sql, values).await?.into_iter().next())
    }

    async fn approvals(
        &self,
        org: OrgId,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Approval>, Error> {
        let tx = self.store.read(org).await?;
        let rows = tx.query(sql, values).await?;
        rows.iter().map(approval).collect()
    }
}

fn approval(row: &Row) -> Result<Approval, Error> {
    let payload: Vec<u8> = row.get("payload")?;
    Ok(Approval {
        request: serde_json::from_slice(&payload).map_err(Error::Approval)?,
        asked_at: Timestamp::from_millis(row.get("asked_at")?),
    })
}
