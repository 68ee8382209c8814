//! What is worth keeping for a while beside effects, such as an answer that will do again: it is
//! erased with what it is about, and forgotten when its time is over, as results are.

use bytes::Bytes;
use nexus_contracts::{MessageId, OrgId, Timestamp};

use super::batch::{Ask, Key};
use super::{Ledger, MAX_RESULT_BYTES};
use crate::StoreError;

/// Something to keep.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The organisation.
    pub org: OrgId,
    /// What it is found by. Effects and memories share their ids.
    pub id: MessageId,
    /// What it is about: [`Ledger::erase`] erases it with that.
    pub about: Option<String>,
    /// What is kept.
    pub bytes: Bytes,
    /// Now.
    pub now: Timestamp,
    /// From then on it is recalled no more.
    pub expires_at: Timestamp,
}

/// Something that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// Since when.
    pub since: Timestamp,
    /// What.
    pub bytes: Bytes,
}

impl Ledger {
    /// Keeps something. False: it was not, because something else is kept under this id and has not
    /// expired, or because what it is about is gone.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above [`MAX_RESULT_BYTES`]; when the database fails.
    pub async fn remember(&self, memory: Memory) -> Result<bool, StoreError> {
        let bytes = memory.bytes.len();
        if bytes > MAX_RESULT_BYTES {
            let most = MAX_RESULT_BYTES;
            return Err(StoreError::TooLarge { bytes, most });
        }
        let key = Key::new(memory.org, &memory.id);
        self.ask(key, |reply| Ask::Remember(memory, reply)).await
    }

    /// What is kept under this id, unless it has expired or was erased.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recall(
        &self,
        org: OrgId,
        id: &MessageId,
        now: Timestamp,
    ) -> Result<Option<Recalled>, StoreError> {
        let ask = |reply| Ask::Recall { now, reply };
        self.ask(Key::new(org, id), ask).await
    }
}
