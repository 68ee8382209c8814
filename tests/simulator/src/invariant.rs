//! What must hold, by name.

use std::fmt;

/// Something that must hold in every history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// 1: every accepted request has exactly one terminal outcome.
    OneOutcome,
    /// 2: a reply is visible at most once, and all deliveries of its id are equal.
    OneDelivery,
    /// 3: the journal of a conversation is dense and ordered.
    DenseJournal,
    /// 4: folding the journal gives the stored state.
    FoldIsCheckpoint,
    /// 5: idempotent effects happen once, at-most-once effects at most once, and none without the
    /// approval it needs.
    EffectsOnce,
    /// 6: what a model is told has every message once, and every tool call with exactly one result.
    WholeHistory,
    /// 7: nothing is left waiting.
    Drained,
    /// 8: no write that did not see the one before is taken.
    NoStaleWrite,
    /// 9: trouble costs no more than its share of extra model calls and messages.
    BoundedWork,
    /// 10: nobody sees what belongs to somebody else.
    Isolated,
    /// 11: of a deleted conversation nothing remains anywhere.
    Erased,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::OneOutcome,
        Self::OneDelivery,
        Self::DenseJournal,
        Self::FoldIsCheckpoint,
        Self::EffectsOnce,
        Self::WholeHistory,
        Self::Drained,
        Self::NoStaleWrite,
        Self::BoundedWork,
        Self::Isolated,
        Self::Erased,
    ];

    /// Its name, as reports show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneOutcome => "1 one-outcome",
            Self::OneDelivery => "2 one-delivery",
            Self::DenseJournal => "3 dense-journal",
            Self::FoldIsCheckpoint => "4 fold-is-checkpoint",
            Self::EffectsOnce => "5 effects-once",
            Self::WholeHistory => "6 whole-history",
            Self::Drained => "7 drained",
            Self::NoStaleWrite => "8 no-stale-write",
            Self::BoundedWork => "9 bounded-work",
            Self::Isolated => "10 isolated",
            Self::Erased => "11 erased",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When, in simulated milliseconds.
    pub at: i64,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            invariant,
            at,
            detail,
        } = self;
        write!(f, "invariant {invariant}, at {at} ms: {detail}")
    }
}
