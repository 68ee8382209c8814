//! Which messages of one commit are taken. Pure: what the store knows is passed in.

use std::collections::{BTreeMap, BTreeSet};

use nexus_contracts::{ConversationId, OrgId, RunId, UserId};

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
    /// The conversation was erased.
    Erased,
}

/// What the store knows of the messages and conversations in question.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Fingerprints of the messages that were taken before.
    pub taken: BTreeMap<(OrgId, RunId), Vec<u8>>,
    /// Conversations that were erased, and whose they were. To anyone else they look like those
    /// that never existed: the orchestrator says so.
    pub erased: BTreeSet<(OrgId, UserId, ConversationId)>,
}

/// Decides on each, in order; what one takes, the next one sees.
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
    let mut about = [Some(submission.conversation), submission.parent]
        .into_iter()
        .flatten();
    if about.any(|id| {
        facts
            .erased
            .contains(&(submission.org, submission.user, id))
    }) {
        return Admission::Erased;
    }
    if submission.keyed {
        facts.taken.insert(place, submission.fingerprint());
    }
    Admission::Stored
}
