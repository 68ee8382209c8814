//! Whether what is stored is what the journal says: for tests, drills and doubts.

use nexus_contracts::{ConversationId, OrgId};
use nexus_store::{Store, Value};

use super::{history, uuid};
use crate::error::Error;

/// Conversations that are compared in one transaction.
const PAGE: u32 = 100;

/// What comparing found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many conversations were compared.
    pub conversations: u64,
    /// How many events they have seen.
    pub events: i64,
    /// Conversations whose stored state is not what their events lead to, and what is wrong.
    pub wrong: Vec<(OrgId, ConversationId, String)>,
}

/// Folds every conversation of every organisation, and compares.
///
/// # Errors
/// When the database refuses. A conversation that does not read or fold is one that is wrong.
pub async fn verify(store: &Store) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    for org in store.organisations().await? {
        let mut after = String::new();
        while let Some(last) = page(store, org, &after, &mut verified).await? {
            after = last;
        }
    }
    Ok(verified)
}

/// Compares the conversations that follow an id; gives the last of them.
async fn page(
    store: &Store,
    org: OrgId,
    after: &str,
    verified: &mut Verified,
) -> Result<Option<String>, Error> {
    let sql = format!(
        "SELECT id FROM conversation WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT {PAGE}"
    );
    let tx = store.read(org).await?;
    let rows = tx
        .query(&sql, vec![uuid(org.0), Value::from(after.to_owned())])
        .await?;
    let mut last = None;
    for row in rows {
        let text: String = row.get("id")?;
        let id: ConversationId = text.parse().map_err(|error: uuid::Error| Error::Row {
            row: "conversation",
            reason: error.to_string(),
        })?;
        last = Some(text);
        verified.conversations += 1;
        match history::compare(&tx.as_ref(), id).await {
            Ok(None) => {}
            Ok(Some(compared)) => {
                verified.events += compared.version;
                if compared.folded != compared.stored {
                    let wrong = format!("version {} does not fold to itself", compared.version);
                    verified.wrong.push((org, id, wrong));
                }
            }
            Err(Error::Store(error)) => return Err(Error::Store(error)),
            Err(error) => verified.wrong.push((org, id, error.to_string())),
        }
    }
    tx.commit().await?;
    Ok(last)
}
