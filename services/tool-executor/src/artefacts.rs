//! What calls leave behind that is too long for an envelope.
//!
//! The rest of a long result, files that code made: kept in the ledger, so it belongs to an organisation and a conversation, is erased with it, and
//! goes when the call's result does.

use std::sync::Arc;

use bytes::Bytes;
use nexus_contracts::{ConversationId, MessageId, OrgId, Timestamp, derive_id};
use nexus_service_kit::Clock;
use nexus_store::ledger::{MAX_RESULT_BYTES, Memory};
use nexus_store::{Ledger, StoreError};

use crate::Config;

/// Keeps and gives back.
#[derive(Clone)]
pub struct Artefacts {
    ledger: Ledger,
    clock: Clock,
    config: Arc<Config>,
}

/// Whose an artefact is.
#[derive(Clone, Copy, Debug)]
pub struct Whose {
    /// The organisation.
    pub org: OrgId,
    /// The conversation, where there is one.
    pub conversation: Option<ConversationId>,
}

impl Artefacts {
    /// Most bytes of one artefact.
    pub const MOST: usize = MAX_RESULT_BYTES;

    /// Over this ledger.
    #[must_use]
    pub const fn new(ledger: Ledger, clock: Clock, config: Arc<Config>) -> Self {
        Self {
            ledger,
            clock,
            config,
        }
    }

    /// Keeps bytes under a reference. What is kept under it already stays: an earlier attempt of the
    /// same call left it.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above [`Artefacts::MOST`]; when the database fails.
    pub async fn keep(
        &self,
        whose: Whose,
        reference: &str,
        bytes: Bytes,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let keep = i64::try_from(self.config.keep_results.as_millis()).unwrap_or(i64::MAX);
        let memory = Memory {
            org: whose.org,
            id: kept_as(reference, whose.conversation),
            about: whose.conversation.map(|id| id.to_string()),
            bytes,
            now,
            expires_at: now.plus_millis(keep),
        };
        self.ledger.remember(memory).await.map(drop)
    }

    /// What is kept under a reference of this conversation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(
        &self,
        whose: Whose,
        reference: &str,
        now: Timestamp,
    ) -> Result<Option<Bytes>, StoreError> {
        let id = kept_as(reference, whose.conversation);
        let recalled = self.ledger.recall(whose.org, &id, now).await?;
        Ok(recalled.map(|recalled| recalled.bytes))
    }
}

/// Under which id something is kept. The conversation is part of it: who knows a reference of another
/// one finds nothing.
fn kept_as(reference: &str, conversation: Option<ConversationId>) -> MessageId {
    let conversation = conversation.map(|id| id.to_string()).unwrap_or_default();
    let parts = ["artefact", &conversation, reference];
    MessageId::from(derive_id(parts.map(str::as_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_of_another_conversation_is_another() {
        let conversation = |n: u128| Some(ConversationId(uuid::Uuid::from_u128(n)));
        let ids = [None, conversation(1), conversation(2)].map(|one| kept_as("r", one));
        let [none, a, b] = ids;
        assert!(none != a && a != b && none != b);
    }
}
