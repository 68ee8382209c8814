//! Rows as they are written.

use nexus_contracts::settings::Privacy;
use nexus_contracts::{ConversationId, OrgId, RunId, Timestamp, UserId};
use nexus_store::{InList, Row, StoreError, TenantRef, Value};
use uuid::Uuid;

use crate::chunk::Chunk;
use crate::embed::{Space, to_bytes};
use crate::model::{Kind, number, rank, user};

/// One writer of an organisation at a time, from here to the commit, and one number for what it
/// changes. Whether a fresh row says that something was removed is in its 0 or 1.
const BUMP: &str = "INSERT INTO retrieval_state (org_id, revision, removed_at) VALUES ($1, 1, $2) \
     ON CONFLICT (org_id) DO UPDATE SET revision = retrieval_state.revision + 1, \
     removed_at = CASE WHEN excluded.removed_at = 1 THEN retrieval_state.revision + 1 \
     ELSE retrieval_state.removed_at END RETURNING revision";

const DOCUMENT: &str = "INSERT INTO retrieval_document (org_id, id, kind, collection, owner, title, \
     source, content_type, sha256, bytes, chunks, untrusted, run_id, conversation_id, added_at, \
     revision, privacy) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
     $17)";

const CHUNKS: &str = "INSERT INTO retrieval_chunk (org_id, document_id, ordinal, start_byte, \
     end_byte, context, text, model, dimensions, vector) VALUES";

/// A document or memory that is to be kept.
pub(crate) struct Draft {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) owner: Option<UserId>,
    pub(crate) collection: String,
    pub(crate) title: String,
    pub(crate) source: String,
    pub(crate) content_type: String,
    pub(crate) sha256: String,
    pub(crate) untrusted: bool,
    pub(crate) privacy: Privacy,
    pub(crate) run: Option<RunId>,
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) text: String,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) at: Timestamp,
}

/// The vectors of all chunks of a draft.
pub(crate) type Meanings = (Space, Vec<Vec<f32>>);

impl Draft {
    pub(crate) fn text_of(&self, chunk: &Chunk) -> &str {
        self.text.get(chunk.range.clone()).unwrap_or_default()
    }

    /// What of each chunk is embedded.
    pub(crate) fn searched(&self) -> Vec<String> {
        let searched = |chunk: &Chunk| searched(&self.title, &chunk.context, self.text_of(chunk));
        self.chunks.iter().map(searched).collect()
    }

    /// Adds the rows; they must not be there.
    pub(crate) async fn insert(
        &self,
        tx: &TenantRef<'_>,
        meanings: Option<&Meanings>,
        revision: i64,
    ) -> Result<(), StoreError> {
        let values = vec![
            org(tx),
            Value::from(self.id.to_string()),
            Value::from(self.kind.text()),
            Value::from(&self.collection),
            user(self.owner),
            Value::from(&self.title),
            Value::from(&self.source),
            Value::from(&self.content_type),
            Value::from(&self.sha256),
            number(self.text.len()),
            number(self.chunks.len()),
            Value::from(i64::from(self.untrusted)),
            Value::from(self.run.map(|run| run.to_string())),
            Value::from(
                self.conversation
                    .map(|conversation| conversation.to_string()),
            ),
            Value::from(self.at.as_millis()),
            Value::from(revision),
            Value::from(rank(self.privacy)),
        ];
        tx.later(DOCUMENT, values).await?;
        let mut values = Vec::with_capacity(self.chunks.len() * 10);
        for (at, chunk) in self.chunks.iter().enumerate() {
            let vector = meanings.and_then(|(_, vectors)| vectors.get(at));
            let space = meanings
                .map(|(space, _)| space)
                .filter(|_| vector.is_some());
            values.extend([
                org(tx),
                Value::from(self.id.to_string()),
                number(at),
                number(chunk.range.start),
                number(chunk.range.end),
                Value::from(&chunk.context),
                Value::from(self.text_of(chunk)),
                Value::from(space.map(|space| space.model.clone())),
                match space {
                    Some(space) => number(space.dimensions),
                    None => Value::from(None::<i64>),
                },
                Value::from(vector.map(|vector| to_bytes(vector))),
            ]);
        }
        tx.later_rows(CHUNKS, "", 10, values).await
    }
}

/// What of a chunk is found: by its words, and by its meaning.
pub(crate) fn searched(title: &str, context: &str, text: &str) -> String {
    let parts = [title, context, text];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

/// What a change does.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// Adds documents, or makes something else of them.
    Adds = 0,
    /// Leaves some out.
    Removes = 1,
}

/// Begins a change; gives its number.
pub(crate) async fn bump(tx: &TenantRef<'_>, change: Change) -> Result<i64, StoreError> {
    let values = vec![org(tx), Value::from(change as i64)];
    let rows = tx.query(BUMP, values).await?;
    rows.first().map_or(Ok(0), |row| row.get("revision"))
}

/// Deletes documents and their chunks for good.
pub(crate) async fn delete(tx: &TenantRef<'_>, ids: &[String]) -> Result<(), StoreError> {
    let org = org(tx);
    tx.erasing(async {
        for list in InList::chunks(ids, 2) {
            let values: Vec<Value> = std::iter::once(org.clone()).chain(list.values).collect();
            let (chunks, text) = ("DELETE FROM retrieval_chunk WHERE org_id = $1", list.text);
            let chunks = format!("{chunks} AND document_id IN {text}");
            tx.execute(&chunks, values.clone()).await?;
            let documents = "DELETE FROM retrieval_document WHERE org_id = $1 AND id IN";
            tx.execute(&format!("{documents} {text}"), values).await?;
        }
        Ok(())
    })
    .await
}

pub(crate) fn org(tx: &TenantRef<'_>) -> Value {
    Value::from(tx.org().to_string())
}

pub(crate) fn org_value(org: OrgId) -> Value {
    Value::from(org.to_string())
}

/// Text as both databases take it: `PostgreSQL` refuses NUL. A blank takes its place, so that every
/// offset stays what it was.
pub(crate) fn plain(text: &str) -> String {
    text.replace('\0', " ")
}

pub(crate) fn uuid(row: &Row, column: &str) -> Result<Uuid, StoreError> {
    let text: String = row.get(column)?;
    Uuid::parse_str(&text).map_err(|error| StoreError::Column {
        column: column.to_owned(),
        reason: error.to_string(),
    })
}

pub(crate) fn optional_uuid(row: &Row, column: &str) -> Result<Option<Uuid>, StoreError> {
    match row.get::<Option<String>>(column)? {
        None => Ok(None),
        Some(_) => uuid(row, column).map(Some),
    }
}
