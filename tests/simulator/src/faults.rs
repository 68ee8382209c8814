//! What goes wrong, and how often.

use std::fmt;

use crate::chance::Dice;

/// Where something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The bus loses a message it took.
    Lost,
    /// The bus delivers a message twice.
    Doubled,
    /// The bus delivers a message late, after younger ones.
    Late,
    /// The bus refuses a publication.
    BusAway,
    /// A database refuses a write.
    StoreAway,
    /// A process dies between two things it does.
    Death,
    /// A process stands still for longer than its leases, and goes on.
    Stall,
    /// A model or tool takes longer than a lease.
    Slow,
    /// A model gives no answer.
    ModelFails,
    /// The bus loses everything.
    Flush,
    /// A process is killed at any moment.
    Kill,
    /// A clock jumps.
    Jump,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Lost,
        Self::Doubled,
        Self::Late,
        Self::BusAway,
        Self::StoreAway,
        Self::Death,
        Self::Stall,
        Self::Slow,
        Self::ModelFails,
        Self::Flush,
        Self::Kill,
        Self::Jump,
    ];

    /// Its place in [`Fault::ALL`].
    #[must_use]
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// How often at most, in a thousand: enough to meet it, not so much that nothing else happens.
    const fn most(self) -> u64 {
        match self {
            Self::Lost | Self::Doubled | Self::Late => 120,
            Self::BusAway | Self::StoreAway | Self::Slow | Self::ModelFails => 60,
            Self::Death => 30,
            Self::Stall => 25,
            // Of these the scenario has a few at moments of its own.
            Self::Flush | Self::Kill | Self::Jump => 0,
        }
    }
}

/// How often what goes wrong, in a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates([u64; Fault::ALL.len()]);

impl Rates {
    /// Some seeds are calm, some have one trouble, most have several.
    pub(crate) fn drawn(dice: &mut Dice) -> Self {
        let chance = match dice.below(10) {
            0 => 0,
            1..=3 => 15,
            _ => 55,
        };
        let mut rates = Self::default();
        for fault in Fault::ALL {
            let most = fault.most();
            let rate = if dice.happens(chance) {
                dice.below(most + 1)
            } else {
                0
            };
            if let Some(slot) = rates.0.get_mut(fault.index()) {
                *slot = rate;
            }
        }
        rates
    }

    /// How often this goes wrong.
    pub(crate) fn of(&self, fault: Fault) -> u64 {
        self.0.get(fault.index()).copied().unwrap_or_default()
    }
}

/// A fault that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Where: left out by this.
    pub(crate) place: u64,
    /// When, in simulated milliseconds.
    pub at: i64,
    /// What.
    pub fault: Fault,
    /// To whom or what.
    pub about: String,
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7} ms  {:?}: {}", self.at, self.fault, self.about)
    }
}
