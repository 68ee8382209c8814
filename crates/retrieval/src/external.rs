//! Vectors kept in a database made for them.
//!
//! The service's own database stays the truth: it holds every vector too. What the other one has yet
//! to hear of is written in the same transaction as the change, worked off after it, and again by
//! [`Retrieval::backfill`] until it has been heard. A search takes of its answers only what the truth
//! knows in the same revision, so a late deletion is never seen.

use async_trait::async_trait;
use nexus_contracts::settings::Privacy;
use nexus_contracts::{OrgId, UserId};
use nexus_store::{Row, StoreError, TenantRef, Value};
use uuid::Uuid;

use crate::embed::{Space, from_bytes};
use crate::model::{Kind, number, privacy};
use crate::rows::{self, Change};
use crate::{DocumentId, Error, Retrieval, spaces};

/// A vector and what it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The chunk's place in the document, from 0.
    pub ordinal: u32,
    /// The document's revision.
    pub revision: i64,
    /// The owner, if it is not shared.
    pub owner: Option<UserId>,
    /// The collection; none for a memory.
    pub collection: Option<String>,
    /// Where what it is of may go.
    pub privacy: Privacy,
    /// Of length 1.
    pub vector: Vec<f32>,
}

/// What is searched: only what is no stricter than `privacy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Shared documents and this person's, of these collections or of all.
    Documents {
        /// The person.
        user: Option<UserId>,
        /// The collections.
        collections: Option<Vec<String>>,
        /// How private the conversation is.
        privacy: Privacy,
    },
    /// What is remembered of a person.
    Memories {
        /// The person.
        user: UserId,
        /// How private the conversation is.
        privacy: Privacy,
    },
}

/// A chunk whose vector is near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Its document.
    pub document: DocumentId,
    /// Its place in it.
    pub ordinal: u32,
    /// The document's revision when the vector was put there.
    pub revision: i64,
    /// The cosine of the two vectors.
    pub cosine: f64,
}

/// Why another database did not do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the vector index {index} at {at}: {reason}")]
pub struct VectorError {
    /// Which kind it is.
    pub index: &'static str,
    /// Its address, without secrets.
    pub at: String,
    /// What it said.
    pub reason: String,
}

/// A database of vectors beside the service's own.
#[async_trait]
pub trait VectorIndex: Send + Sync {
    /// Puts the vectors of a document in the place of all it had in this space; none: removes them.
    /// Doing it again changes nothing.
    ///
    /// # Errors
    /// When it did not, or may not have; it is asked again.
    async fn replace(
        &self,
        org: OrgId,
        space: &Space,
        document: DocumentId,
        entries: Vec<Entry>,
    ) -> Result<(), VectorError>;

    /// Removes all an organisation has in a space, and the space.
    ///
    /// # Errors
    /// As [`VectorIndex::replace`].
    async fn drop_space(&self, org: OrgId, space: &Space) -> Result<(), VectorError>;

    /// The nearest vectors of those in scope, nearest first: what is out of it takes nobody's place.
    ///
    /// # Errors
    /// When there is no answer; the search goes on by words.
    async fn nearest(
        &self,
        org: OrgId,
        (space, query): (&Space, &[f32]),
        scope: &Scope,
        most: usize,
    ) -> Result<Vec<Near>, VectorError>;
}

const PENDING: &str = "SELECT document_id, revision FROM retrieval_pending WHERE org_id = $1 \
     ORDER BY revision, document_id LIMIT $2";
const HEARD: &str = "DELETE FROM retrieval_pending WHERE org_id = $1 AND document_id = $2 \
     AND revision = $3";
const REVISION: &str = "SELECT revision FROM retrieval_document WHERE org_id = $1 AND id = $2";
const ENTRIES: &str = "SELECT d.kind, d.collection, d.owner, d.privacy, d.revision, c.ordinal, c.model, \
     c.dimensions, c.vector FROM retrieval_document AS d JOIN retrieval_chunk AS c \
     ON c.org_id = d.org_id AND c.document_id = d.id \
     WHERE d.org_id = $1 AND d.id = $2 AND c.vector IS NOT NULL ORDER BY c.ordinal";
const ALL_PENDING: &str = "INSERT INTO retrieval_pending (org_id, document_id, revision) \
     SELECT org_id, id, revision FROM retrieval_document WHERE org_id = $1";

/// Writes down that the other database has to hear of these documents.
pub(crate) async fn pend(
    tx: &TenantRef<'_>,
    ids: &[String],
    revision: i64,
) -> Result<(), StoreError> {
    let values = ids
        .iter()
        .flat_map(|id| [rows::org(tx), Value::from(id), Value::from(revision)]);
    let before = "INSERT INTO retrieval_pending (org_id, document_id, revision) VALUES";
    let after = "ON CONFLICT (org_id, document_id) DO UPDATE SET revision = excluded.revision";
    tx.later_rows(before, after, 3, values.collect()).await
}

impl Retrieval {
    /// Tells the other database of at most so many documents. Gives how many it heard of, and why
    /// there are not more.
    pub(crate) async fn tell(
        &self,
        org: OrgId,
        most: usize,
    ) -> Result<(usize, Option<String>), Error> {
        let Some(external) = &self.inner.external else {
            return Ok((0, None));
        };
        let tx = self.inner.store.read(org).await?;
        let values = vec![Value::from(org.to_string()), number(most)];
        let pending = tx.query(PENDING, values).await?;
        let spaces = spaces::all(&tx.as_ref()).await?;
        drop(tx);
        for (told, row) in pending.iter().enumerate() {
            let (id, revision): (String, i64) = (row.get("document_id")?, row.get("revision")?);
            let (sent, mut entries) = self.entries(org, &id).await?;
            let Ok(document) = id.parse::<DocumentId>() else {
                continue;
            };
            for space in &spaces {
                let of_space = entries.extract_if(.., |(of, _)| of == space);
                let of_space = of_space.map(|(_, entry)| entry).collect();
                let replaced = external.replace(org, space, document, of_space).await;
                if let Err(error) = replaced {
                    return Ok((told, Some(error.to_string())));
                }
            }
            self.heard(org, (&id, revision), sent).await?;
        }
        Ok((pending.len(), None))
    }

    /// The revision of a document, if it is there, and its vectors, each with its space.
    async fn entries(
        &self,
        org: OrgId,
        id: &str,
    ) -> Result<(Option<i64>, Vec<(Space, Entry)>), Error> {
        let tx = self.inner.store.read(org).await?;
        let values = || vec![Value::from(org.to_string()), Value::from(id)];
        let revision = tx.query(REVISION, values()).await?;
        let revision = revision
            .first()
            .map(|row| row.get("revision"))
            .transpose()?;
        let rows = tx.query(ENTRIES, values()).await?;
        let entries: Result<Vec<_>, StoreError> = rows.iter().map(entry).collect();
        Ok((revision, entries?.into_iter().flatten().collect()))
    }

    /// The other database has heard of a document as it was in this revision; none: that it is gone.
    /// If it has changed since, whoever told of the change may have been faster: then it is told of
    /// again.
    async fn heard(
        &self,
        org: OrgId,
        pending: (&str, i64),
        sent: Option<i64>,
    ) -> Result<(), Error> {
        let (id, revision) = pending;
        let tx = self.inner.store.begin(org).await?;
        let tenant = tx.as_ref();
        let document = || vec![Value::from(org.to_string()), Value::from(id)];
        let mut values = document();
        values.push(Value::from(revision));
        tenant.execute(HEARD, values).await?;
        let now = tenant.query(REVISION, document()).await?;
        let now: Option<i64> = now.first().map(|row| row.get("revision")).transpose()?;
        if now != sent {
            pend(&tenant, &[id.to_owned()], now.unwrap_or(revision)).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Has the other database hear of every document again: after it was configured for the first
    /// time, or has lost what it had. [`Retrieval::backfill`] does the work.
    ///
    /// # Errors
    /// When the database fails; nothing was changed then.
    pub async fn rebuild_external(&self, org: OrgId) -> Result<(), Error> {
        let tx = self.inner.store.begin(org).await?;
        let tenant = tx.as_ref();
        rows::bump(&tenant, Change::Adds).await?;
        let org = || vec![Value::from(org.to_string())];
        let all = "DELETE FROM retrieval_pending WHERE org_id = $1";
        tenant.later(all, org()).await?;
        tenant.later(ALL_PENDING, org()).await?;
        let sql = "SELECT DISTINCT model, dimensions FROM retrieval_chunk \
                   WHERE org_id = $1 AND model IS NOT NULL";
        for row in tenant.query(sql, org()).await? {
            spaces::note(&tenant, &spaces::space(&row)?).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn entry(row: &Row) -> Result<Option<(Space, Entry)>, StoreError> {
    let space = spaces::space(row)?;
    let bytes: Vec<u8> = row.get("vector")?;
    let Some(vector) = from_bytes(&bytes, space.dimensions) else {
        return Ok(None);
    };
    let kind: String = row.get("kind")?;
    let collection: String = row.get("collection")?;
    let owner: Option<String> = row.get("owner")?;
    let entry = Entry {
        ordinal: u32::try_from(row.get::<i64>("ordinal")?).unwrap_or(u32::MAX),
        revision: row.get("revision")?,
        owner: owner
            .and_then(|owner| Uuid::parse_str(&owner).ok())
            .map(UserId),
        collection: (Kind::parse(&kind) == Kind::Document).then_some(collection),
        privacy: privacy(row)?,
        vector,
    };
    Ok(Some((space, entry)))
}
