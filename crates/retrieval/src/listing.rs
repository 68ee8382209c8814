//! What there is.

use nexus_contracts::settings::Privacy;
use nexus_contracts::{Timestamp, UserId};
use nexus_store::{Row, StoreError, Value};

use crate::model::{Page, count, privacy};
use crate::rows::{optional_uuid, uuid};
use crate::{DocumentId, Error, Retrieval, Viewer};

/// A document without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentInfo {
    /// Its id.
    pub id: DocumentId,
    /// The owner; none: it is shared.
    pub owner: Option<UserId>,
    /// Its collection.
    pub collection: String,
    /// Its title.
    pub title: String,
    /// Its source.
    pub source: String,
    /// What it is.
    pub content_type: String,
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
    /// Size of its text.
    pub bytes: usize,
    /// How many chunks it has.
    pub chunks: usize,
    /// How many of them have a vector, of any model.
    pub embedded: usize,
    /// Whether what it says may be somebody's attempt to give orders.
    pub untrusted: bool,
    /// Where it may go.
    pub privacy: Privacy,
    /// When this version was added.
    pub added_at: Timestamp,
}

/// A collection, as far as somebody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// How many documents.
    pub documents: usize,
    /// How many chunks they have.
    pub chunks: usize,
}

const DOCUMENTS: &str = "SELECT d.id, d.owner, d.collection, d.title, d.source, d.content_type, \
     d.sha256, d.bytes, d.chunks, d.untrusted, d.privacy, d.added_at, \
     (SELECT COUNT(*) FROM retrieval_chunk AS c WHERE c.org_id = d.org_id \
     AND c.document_id = d.id AND c.model IS NOT NULL) AS embedded \
     FROM retrieval_document AS d WHERE d.org_id = $1 AND d.kind = 'document' \
     AND (d.owner IS NULL OR d.owner = $2) \
     AND (d.added_at < $3 OR (d.added_at = $3 AND d.id > $4))";
const COLLECTIONS: &str = "SELECT collection, COUNT(*) AS documents, \
     CAST(SUM(chunks) AS BIGINT) AS chunks FROM retrieval_document WHERE org_id = $1 \
     AND kind = 'document' AND (owner IS NULL OR owner = $2) GROUP BY collection \
     ORDER BY collection";
const TEXT: &str = "SELECT c.text FROM retrieval_document AS d JOIN retrieval_chunk AS c \
     ON c.org_id = d.org_id AND c.document_id = d.id WHERE d.org_id = $1 \
     AND (d.owner IS NULL OR d.owner = $2) AND d.kind = 'document' AND d.id = $3 \
     ORDER BY c.ordinal";

impl Retrieval {
    /// Documents that the viewer sees, of one collection or of all, newest first. A page goes on
    /// behind the `added_at` and `id` of the last one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn documents(
        &self,
        viewer: Viewer,
        collection: Option<&str>,
        page: Page,
    ) -> Result<Vec<DocumentInfo>, Error> {
        let [at, id, limit] = page.values(self.limits().results);
        let mut values = viewer.values();
        values.extend([at, id, limit]);
        let mut sql = DOCUMENTS.to_owned();
        if let Some(collection) = collection {
            sql.push_str(" AND d.collection = $6");
            values.push(Value::from(collection));
        }
        sql.push_str(" ORDER BY d.added_at DESC, d.id LIMIT $5");
        let tx = self.inner.store.read(viewer.org).await?;
        let rows = tx.query(&sql, values).await?;
        let documents: Result<Vec<_>, StoreError> = rows.iter().map(document).collect();
        Ok(documents?)
    }

    /// The collections with documents that the viewer sees, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collections(&self, viewer: Viewer) -> Result<Vec<CollectionInfo>, Error> {
        let tx = self.inner.store.read(viewer.org).await?;
        let rows = tx.query(COLLECTIONS, viewer.values()).await?;
        let collections: Result<Vec<_>, StoreError> = rows.iter().map(collection).collect();
        Ok(collections?)
    }

    /// The whole text of a document, if there is one of this id that the viewer sees.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn text(&self, viewer: Viewer, id: DocumentId) -> Result<Option<String>, Error> {
        let tx = self.inner.store.read(viewer.org).await?;
        let mut values = viewer.values();
        values.push(Value::from(id.to_string()));
        let rows = tx.query(TEXT, values).await?;
        let texts: Result<Vec<String>, _> = rows.iter().map(|row| row.get("text")).collect();
        let texts = texts?;
        Ok((!texts.is_empty()).then(|| texts.concat()))
    }
}

fn document(row: &Row) -> Result<DocumentInfo, StoreError> {
    Ok(DocumentInfo {
        id: DocumentId(uuid(row, "id")?),
        owner: optional_uuid(row, "owner")?.map(UserId),
        collection: row.get("collection")?,
        title: row.get("title")?,
        source: row.get("source")?,
        content_type: row.get("content_type")?,
        sha256: row.get("sha256")?,
        bytes: count(row.get("bytes")?),
        chunks: count(row.get("chunks")?),
        embedded: count(row.get("embedded")?),
        untrusted: row.get::<i64>("untrusted")? != 0,
        privacy: privacy(row)?,
        added_at: Timestamp::from_millis(row.get("added_at")?),
    })
}

fn collection(row: &Row) -> Result<CollectionInfo, StoreError> {
    Ok(CollectionInfo {
        name: row.get("collection")?,
        documents: count(row.get("documents")?),
        chunks: count(row.get("chunks")?),
    })
}
