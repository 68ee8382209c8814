//! The spaces in which another database of vectors holds some, and how it is rid of old ones.
//!
//! It is asked to drop one outside of every transaction, and may take long over it; meanwhile somebody
//! may begin to keep vectors there. So it is written down that the space is being dropped, then it is
//! dropped, and then, in one change, it is told again of what was put there in between, or the space is
//! forgotten. Whoever fails on the way leaves the mark, and the next one begins where it began.

use nexus_contracts::OrgId;
use nexus_store::{Row, StoreError, TenantRef, Value};

use crate::embed::Space;
use crate::external::{VectorIndex, pend};
use crate::model::{count, number};
use crate::rows::{self, Change};
use crate::{Error, Retrieval};

const SPACES: &str = "SELECT model, dimensions FROM retrieval_space WHERE org_id = $1";
const OLD: &str = "SELECT model, dimensions FROM retrieval_space WHERE org_id = $1 \
     AND (dropping = 1 OR NOT EXISTS (SELECT 1 FROM retrieval_chunk AS c \
     WHERE c.org_id = retrieval_space.org_id AND c.model = retrieval_space.model \
     AND c.dimensions = retrieval_space.dimensions))";
const MARK: &str = "UPDATE retrieval_space SET dropping = 1 WHERE org_id = $1 AND model = $2 \
     AND dimensions = $3 AND (dropping = 1 OR NOT EXISTS (SELECT 1 FROM retrieval_chunk AS c \
     WHERE c.org_id = $1 AND c.model = $2 AND c.dimensions = $3))";
const USERS: &str = "SELECT DISTINCT document_id FROM retrieval_chunk WHERE org_id = $1 \
     AND model = $2 AND dimensions = $3";
const KEEP: &str = "UPDATE retrieval_space SET dropping = 0 WHERE org_id = $1 AND model = $2 \
     AND dimensions = $3";
const FORGET: &str = "DELETE FROM retrieval_space WHERE org_id = $1 AND model = $2 \
     AND dimensions = $3";

/// Writes down that an organisation has vectors in a space.
pub(crate) async fn note(tx: &TenantRef<'_>, space: &Space) -> Result<(), StoreError> {
    let sql = "INSERT INTO retrieval_space (org_id, model, dimensions) VALUES ($1, $2, $3) \
               ON CONFLICT DO NOTHING";
    tx.later(sql, of(tx.org(), space)).await
}

/// The spaces in which an organisation may have vectors.
pub(crate) async fn all(tx: &TenantRef<'_>) -> Result<Vec<Space>, StoreError> {
    let rows = tx.query(SPACES, vec![rows::org(tx)]).await?;
    rows.iter().map(space).collect()
}

pub(crate) fn space(row: &Row) -> Result<Space, StoreError> {
    Ok(Space {
        model: row.get("model")?,
        dimensions: count(row.get("dimensions")?),
    })
}

/// `$1` to `$3`.
pub(crate) fn of(org: OrgId, space: &Space) -> Vec<Value> {
    vec![
        rows::org_value(org),
        Value::from(&space.model),
        number(space.dimensions),
    ]
}

impl Retrieval {
    /// Has another database of vectors drop the spaces in which nothing is kept any more. Gives why it
    /// did not.
    pub(crate) async fn drop_old_spaces(&self, org: OrgId) -> Result<Option<String>, Error> {
        let Some(external) = &self.inner.external else {
            return Ok(None);
        };
        let tx = self.inner.store.read(org).await?;
        let rows = tx.query(OLD, vec![rows::org_value(org)]).await?;
        drop(tx);
        let old: Result<Vec<Space>, StoreError> = rows.iter().map(space).collect();
        for space in &old? {
            if let Some(reason) = self.drop_old_space(org, space, external.as_ref()).await? {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    async fn drop_old_space(
        &self,
        org: OrgId,
        space: &Space,
        external: &dyn VectorIndex,
    ) -> Result<Option<String>, Error> {
        let tx = self.inner.store.begin(org).await?;
        // Asked again: now nobody else of the organisation writes.
        rows::bump(&tx.as_ref(), Change::Adds).await?;
        if tx.execute(MARK, of(org, space)).await? == 0 {
            return Ok(None);
        }
        tx.commit().await?;
        if let Err(error) = external.drop_space(org, space).await {
            return Ok(Some(error.to_string()));
        }
        let tx = self.inner.store.begin(org).await?;
        let tenant = tx.as_ref();
        // Newer than whatever is being told now, so that this does not count as heard with it.
        let revision = rows::bump(&tenant, Change::Adds).await?;
        let users = tenant.query(USERS, of(org, space)).await?;
        let ids: Result<Vec<String>, StoreError> =
            users.iter().map(|row| row.get("document_id")).collect();
        pend(&tenant, &ids?, revision).await?;
        let done = if users.is_empty() { FORGET } else { KEEP };
        tenant.later(done, of(org, space)).await?;
        tx.commit().await?;
        Ok(None)
    }
}
