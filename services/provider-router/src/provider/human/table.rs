//! The table `inbox` as a whole.

use bytes::Bytes;
use nexus_bus::{Bus, BusError, Expect, PutOutcome, Versioned};
use nexus_contracts::{ConversationId, OrgId, Timestamp, tables};

use super::entry::{Closed, InboxEntry};

/// For how long a question that is over is left where it is, in milliseconds: clocks of different
/// machines disagree, and what is over here may be waited for there.
const GRACE: i64 = 60_000;

/// Every question that waits for a person, the oldest first. Removes what is over on the way: a
/// call that died with its process leaves its entry behind.
///
/// # Errors
/// When the bus cannot be read.
pub async fn waiting(bus: &Bus, now: Timestamp) -> Result<Vec<InboxEntry>, BusError> {
    let mut waiting = Vec::new();
    for found in bus.table_list(tables::INBOX).await? {
        let Some(entry) = InboxEntry::read(&found.value) else {
            // Of a newer version, which knows what to do with it.
            continue;
        };
        if entry.is_over(now.plus_millis(-GRACE)) {
            remove(bus, found).await;
        } else if !entry.is_over(now) && entry.closed().is_none() {
            waiting.push(entry);
        }
    }
    waiting.sort_by(|one, other| (one.asked_at, &one.id).cmp(&(other.asked_at, &other.id)));
    Ok(waiting)
}

async fn remove(bus: &Bus, found: Versioned) {
    let expect = Expect::Version(found.version);
    // Who may only read cannot remove anything, and the next one to look does.
    if let Err(error) = bus.table_delete(tables::INBOX, &found.key, expect).await {
        tracing::debug!(%error, "a question that is over could not be removed");
    }
}

/// What is left of a question that waits no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// What a person has said, until the deadline: whoever comes second is told.
    WhatWasSaid,
    /// Nothing.
    Nothing,
}

/// Nobody waits for the question of this command any more.
///
/// # Errors
/// When the bus fails; what is left is over at its deadline.
pub async fn settle(bus: &Bus, key: &str, left: Left) -> Result<(), BusError> {
    while let Some(found) = bus.table_get(tables::INBOX, key).await? {
        let expect = Expect::Version(found.version);
        let said = InboxEntry::read(&found.value);
        let said = said.filter(|entry| left == Left::WhatWasSaid && entry.is_dealt_with());
        let done = match said {
            Some(entry) if entry.conversation.is_empty() => break,
            Some(mut entry) => {
                entry.conversation.clear();
                let value = value(&entry)?;
                bus.table_put(tables::INBOX, key, value, expect).await?
            }
            None => bus.table_delete(tables::INBOX, key, expect).await?,
        };
        if matches!(done, PutOutcome::Stored(_)) {
            break;
        }
    }
    Ok(())
}

/// Empties the questions of a conversation that is gone. What is left of each is a mark: a call that
/// found nothing would take that for a loss of the bus, and ask again.
///
/// # Errors
/// When the bus fails: then it is to be done again.
pub async fn erase(bus: &Bus, org: OrgId, conversation: ConversationId) -> Result<(), BusError> {
    for mut found in bus.table_list(tables::INBOX).await? {
        while let Some(mut entry) = InboxEntry::read(&found.value) {
            let is_its = entry.org == org && entry.conversation_id == Some(conversation);
            if !is_its || entry.erased {
                break;
            }
            entry.close(&Closed::Erased);
            let expect = Expect::Version(found.version);
            let (key, value) = (&found.key, value(&entry)?);
            match bus.table_put(tables::INBOX, key, value, expect).await? {
                PutOutcome::Conflict(Some(there)) => found = there,
                PutOutcome::Conflict(None) | PutOutcome::Stored(_) => break,
            }
        }
    }
    Ok(())
}

/// An entry as the table keeps it.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn value(entry: &InboxEntry) -> Result<Bytes, BusError> {
    let json = serde_json::to_vec(entry);
    json.map(Bytes::from)
        .map_err(|error| BusError::Protocol(format!("a question for a person: {error}")))
}
