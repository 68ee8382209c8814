//! Ways to break the loop on purpose: a simulator that cannot tell these from the real one proves
//! nothing.

use clap::ValueEnum;

use crate::invariant::Invariant;

/// A way to break it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutant {
    /// Deliveries are acknowledged before what they lead to is committed.
    AckBeforeCommit,
    /// Nobody remembers which requests were handled before.
    NoInbox,
    /// Conversations are written whatever another replica wrote meanwhile.
    NoCompareAndSet,
    /// Nothing is published again, and nobody is woken.
    NoSweeper,
    /// When an event is repeated, so is everything its organisation was ever told.
    RepeatsAll,
    /// Every timer is set anew when a replica starts.
    TimersReset,
    /// Workers and adapters act without claiming first.
    NoLedger,
    /// A write that fails leaves those before it behind.
    NoTransaction,
    /// Nobody who stores content erases any.
    NoErasure,
    /// Conversations are found by their id alone, whoever asks.
    NoTenants,
    /// Results of tools are handed to the model without the call they answer.
    NoToolResults,
}

impl Mutant {
    /// The invariants of which at least one must catch it.
    #[must_use]
    pub const fn breaks(self) -> &'static [Invariant] {
        match self {
            Self::AckBeforeCommit => &[Invariant::OneOutcome],
            Self::NoInbox => &[
                Invariant::OneOutcome,
                Invariant::OneDelivery,
                Invariant::Drained,
            ],
            Self::NoCompareAndSet => &[Invariant::NoStaleWrite],
            Self::NoSweeper => &[Invariant::Drained, Invariant::OneOutcome],
            Self::RepeatsAll => &[Invariant::BoundedWork],
            Self::TimersReset => &[Invariant::Drained],
            Self::NoLedger => &[Invariant::EffectsOnce, Invariant::OneDelivery],
            Self::NoTransaction => &[
                Invariant::OneDelivery,
                Invariant::DenseJournal,
                Invariant::FoldIsCheckpoint,
            ],
            Self::NoErasure => &[Invariant::Erased],
            Self::NoTenants => &[Invariant::Isolated],
            Self::NoToolResults => &[Invariant::WholeHistory],
        }
    }
}
