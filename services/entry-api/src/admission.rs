//! Which messages of one commit are taken. Pure: what the store knows is passed in.

use std::collections::{BTreeMap, BTreeSet};

use nexus_contracts::{ConversationId, OrgId, RunId};

use crate::submission::Submission;

/// What became of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Taken.
    Stored,
    /// Taken before, under the same idempotency key.
    Repeated,
    /// The idempotency key belongs to another body.
    KeyReused,
    /// The organisation has no such conversation.
    UnknownConversation,
}

/// What the store knows of the messages and conversations in question.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Fingerprints of the messages that were taken before.
    pub taken: BTreeMap<(OrgId, RunId), Vec<u8>>,
    /// Conversations that exist.
    pub conversations: BTreeSet<(OrgId, ConversationId)>,
}

/// Decides on each, in order; what one opens or takes, the next one sees.
#[must_use]
pub fn decide<'a>(
    batch: impl IntoIterator<Item = &'a Submission>,
    mut facts: Facts,
) -> Vec<Admission> {
    batch
        .into_iter()
        .map(|submission| decide_one(submission, &mut facts))
        .collect()
}

fn decide_one(submission: &Submission, facts: &mut Facts) -> Admission {
    let place = (submission.org, submission.run);
    if submission.keyed
        && let Some(fingerprint) = facts.taken.get(&place)
    {
        let same = *fingerprint == submission.fingerprint();
        return if same {
            Admission::Repeated
        } else {
            Admission::KeyReused
        };
    }
    let conversation = (submission.org, submission.conversation);
    if submission.opens {
        facts.conversations.insert(conversation);
    } else if !facts.conversations.contains(&conversation) {
        return Admission::UnknownConversation;
    }
    if submission.keyed {
        facts.taken.insert(place, submission.fingerprint());
    }
    Admission::Stored
}
