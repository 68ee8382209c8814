//! The recorder's archive: what was said, as far as it heard it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use nexus_contracts::{ConversationId, Envelope, OrgId};

use crate::world::World;

/// The archive.
#[derive(Default)]
pub(crate) struct Recorder {
    kept: BTreeMap<(OrgId, ConversationId), Vec<Bytes>>,
    erased: BTreeSet<(OrgId, ConversationId)>,
}

impl Recorder {
    /// Keeps nothing of a conversation any more, whatever still comes.
    pub(crate) fn erase(&mut self, org: OrgId, conversation: ConversationId) {
        self.erased.insert((org, conversation));
        self.kept.remove(&(org, conversation));
    }

    /// What it has of a conversation.
    pub(crate) fn about(&self, org: OrgId, conversation: ConversationId) -> Vec<&Bytes> {
        let kept = self.kept.get(&(org, conversation));
        kept.into_iter().flatten().collect()
    }
}

impl World<'_> {
    /// Keeps a message, unless what it is about is gone.
    pub(crate) fn archive(&mut self, message: &Envelope) {
        let metadata = &message.metadata;
        let (Some(org), Some(id)) = (metadata.org_id, metadata.conversation_id) else {
            return;
        };
        if !self.recorder.erased.contains(&(org, id)) {
            let kept = self.recorder.kept.entry((org, id)).or_default();
            kept.push(message.payload.clone());
        }
    }
}
