//! Pages of conversations.

use nexus_store::Store;

use super::{Before, Reader, SUMMARY, next, summary};
use crate::error::Error;
use crate::view::ConversationList;

/// A page of conversations, the most recent first.
///
/// # Errors
/// When the database refuses.
pub async fn conversations(
    store: &Store,
    reader: Reader,
    before: &Before,
    limit: u32,
) -> Result<ConversationList, Error> {
    let sql = format!(
        "SELECT {SUMMARY} FROM conversation AS c WHERE c.org_id = $1 AND c.user_id = $2 \
         AND (c.updated_at < $3 OR (c.updated_at = $3 AND c.id < $4)) \
         ORDER BY c.updated_at DESC, c.id DESC LIMIT {limit}"
    );
    let mut values = reader.values();
    values.extend(before.values());
    let tx = store.read(reader.org).await?;
    let rows = tx.query(&sql, values).await?;
    tx.commit().await?;
    Ok(ConversationList {
        next: next(&rows, limit, ("updated_at", "id"))?,
        conversations: rows.iter().map(summary).collect::<Result<_, Error>>()?,
    })
}
