//! Deleting, for good.

use nexus_contracts::{OrgId, UserId};
use nexus_store::{Row, Value};

use crate::external;
use crate::ingest::TOLD_AT_ONCE;
use crate::rows::{self, Change, uuid};
use crate::{DocumentId, Error, Retrieval, Viewer, spaces};

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many documents or memories.
    pub count: usize,
    /// Why another database of vectors may still hold some of theirs: [`Retrieval::backfill`] goes
    /// on with it. Nobody finds anything by them meanwhile.
    pub not_told: Option<String>,
}

/// Which documents or memories; values from `$2` on.
pub(crate) struct Which {
    pub(crate) condition: &'static str,
    pub(crate) values: Vec<Value>,
}

impl Retrieval {
    /// Deletes a document that the viewer sees. Whether they may delete what is shared is for the
    /// caller to say.
    ///
    /// # Errors
    /// When the database fails; nothing was deleted then.
    pub async fn delete(&self, viewer: Viewer, id: DocumentId) -> Result<Deleted, Error> {
        let which = Which {
            condition: "kind = 'document' AND id = $2 AND (owner IS NULL OR owner = $3)",
            values: vec![Value::from(id.to_string()), crate::model::user(viewer.user)],
        };
        self.remove(viewer.org, which).await
    }

    /// Deletes all of a collection that is somebody's own, or, without `owner`, that is shared.
    ///
    /// # Errors
    /// As [`Retrieval::delete`].
    pub async fn delete_collection(
        &self,
        org: OrgId,
        owner: Option<UserId>,
        collection: &str,
    ) -> Result<Deleted, Error> {
        let mut values = vec![Value::from(rows::plain(collection))];
        let condition = match owner {
            None => "kind = 'document' AND collection = $2 AND owner IS NULL",
            Some(owner) => {
                values.push(Value::from(owner.to_string()));
                "kind = 'document' AND collection = $2 AND owner = $3"
            }
        };
        self.remove(org, Which { condition, values }).await
    }

    /// Deletes every document and memory of a person.
    ///
    /// # Errors
    /// As [`Retrieval::delete`].
    pub async fn erase_user(&self, org: OrgId, user: UserId) -> Result<Deleted, Error> {
        let which = Which {
            condition: "owner = $2",
            values: vec![Value::from(user.to_string())],
        };
        self.remove(org, which).await
    }

    /// Deletes everything of an organisation.
    ///
    /// # Errors
    /// As [`Retrieval::delete`]; also when another database of vectors did not drop what it had:
    /// call it again then.
    pub async fn erase_org(&self, org: OrgId) -> Result<Deleted, Error> {
        let which = Which {
            condition: "revision >= $2",
            values: vec![Value::from(0_i64)],
        };
        let ids = self.take_out(org, which).await?;
        let mut deleted = Deleted {
            count: ids.len(),
            not_told: None,
        };
        if let Some(external) = &self.inner.external {
            let tx = self.inner.store.read(org).await?;
            let spaces = spaces::all(&tx.as_ref()).await?;
            drop(tx);
            for space in spaces {
                if let Err(error) = external.drop_space(org, &space).await {
                    deleted.not_told = Some(error.to_string());
                    return Ok(deleted);
                }
            }
            let tx = self.inner.store.begin(org).await?;
            for sql in [
                "DELETE FROM retrieval_space WHERE org_id = $1",
                "DELETE FROM retrieval_pending WHERE org_id = $1 AND document_id NOT IN \
                 (SELECT id FROM retrieval_document WHERE org_id = $1)",
            ] {
                tx.execute(sql, vec![rows::org_value(org)]).await?;
            }
            tx.commit().await?;
        }
        self.inner.cache.forget(org);
        Ok(deleted)
    }

    pub(crate) async fn remove(&self, org: OrgId, which: Which) -> Result<Deleted, Error> {
        let ids = self.take_out(org, which).await?;
        let count = ids.len();
        let mut not_told = None;
        if self.inner.external.is_some() && count > 0 {
            let (told, reason) = self.tell(org, TOLD_AT_ONCE).await?;
            let waiting = || format!("{} of them wait for `backfill`", count - told);
            not_told = reason.or_else(|| (told < count).then(waiting));
        }
        Ok(Deleted { count, not_told })
    }

    /// Deletes here, and writes down that another database of vectors has to hear of it.
    async fn take_out(&self, org: OrgId, which: Which) -> Result<Vec<String>, Error> {
        let tx = self.inner.store.begin(org).await?;
        let tenant = tx.as_ref();
        let revision = rows::bump(&tenant, Change::Removes).await?;
        let sql = format!(
            "SELECT id FROM retrieval_document WHERE org_id = $1 AND {}",
            which.condition
        );
        let values = std::iter::once(rows::org(&tenant)).chain(which.values);
        let rows = tenant.query(&sql, values.collect()).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Result<Vec<String>, _> = rows.iter().map(|row: &Row| row.get("id")).collect();
        let ids = ids?;
        rows::delete(&tenant, &ids).await?;
        if self.inner.external.is_some() {
            external::pend(&tenant, &ids, revision).await?;
        }
        tx.commit().await?;
        let place = self.inner.cache.place(org);
        for row in &rows {
            // Not before it is asked for the next time, but now: gone is gone.
            place.index.write().remove(uuid(row, "id")?);
        }
        Ok(ids)
    }
}
