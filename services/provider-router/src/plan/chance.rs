//! Chance that is the same for everything a conversation asks, so that its prompts meet the cache of
//! the provider that has seen them before.

use nexus_contracts::derive_id;

/// What is drawn for one conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance<'a> {
    /// The conversation, or the command where there is none.
    pub(super) seed: &'a str,
}

impl Chance<'_> {
    /// Above 0 and at most 1, evenly spread over seeds; the same for the same seed and purpose.
    pub(super) fn draw(self, purpose: &[&str]) -> f64 {
        let parts = purpose.iter().map(|part| part.as_bytes());
        let id = derive_id(std::iter::once(self.seed.as_bytes()).chain(parts));
        // The first 32 bits of the id are bits of a hash.
        let bits = id.as_fields().0;
        (f64::from(bits) + 1.0) / (f64::from(u32::MAX) + 1.0)
    }

    /// Weighted rendezvous hashing (Thaler and Ravishankar 1998, with weights as Schindelhauer and
    /// Schomaker 2005): the least of `-ln(u) / w` wins with probability w out of the sum. A target
    /// that comes or goes moves only the conversations that are its own.
    pub(super) fn rank(self, purpose: &[&str], weight: u32) -> f64 {
        -self.draw(purpose).ln() / f64::from(weight.max(1))
    }

    /// Whether this conversation is among so many of a hundred.
    pub(super) fn within(self, percent: u8, purpose: &[&str]) -> bool {
        self.draw(purpose) * 100.0 <= f64::from(percent)
    }
}
