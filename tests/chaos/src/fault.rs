//! What can be done to a run, and a schedule of it made from a seed. Pure.

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::config::{BusKind, DbKind};
use crate::history::Millis;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// SIGKILL of a worker, and a new one a moment later.
    Kill,
    /// SIGSTOP of a worker, and SIGCONT when others have taken it for dead.
    Freeze,
    /// SIGKILL of the bus server.
    BusKill,
    /// The same, and the end of its file is lost.
    BusTruncate,
    /// The bus loses everything.
    BusWipe,
    /// The streams lose their messages and stay.
    BusPurge,
    /// The streams are deleted while everybody uses them. Only on demand: nats-server 2.9 itself may
    /// be left with a consumer that answers no pull.
    BusDelete,
    /// `pg_ctl stop -m immediate`.
    DbStop,
    /// A connection becomes slow.
    NetSlow,
    /// Connections are reset.
    NetReset,
    /// Connections are closed in one direction.
    NetHalfClose,
    /// Connections carry nothing and stay.
    NetBlackhole,
}

/// Every kind.
pub const KINDS: [Kind; 12] = [
    Kind::Kill,
    Kind::Freeze,
    Kind::BusKill,
    Kind::BusTruncate,
    Kind::BusWipe,
    Kind::BusPurge,
    Kind::BusDelete,
    Kind::DbStop,
    Kind::NetSlow,
    Kind::NetReset,
    Kind::NetHalfClose,
    Kind::NetBlackhole,
];

impl Kind {
    /// Its name in reports and options.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::BusKill => "bus-kill",
            Self::BusTruncate => "bus-truncate",
            Self::BusWipe => "bus-wipe",
            Self::BusPurge => "bus-purge",
            Self::BusDelete => "bus-delete",
            Self::DbStop => "db-stop",
            Self::NetSlow => "net-slow",
            Self::NetReset => "net-reset",
            Self::NetHalfClose => "net-half-close",
            Self::NetBlackhole => "net-blackhole",
        }
    }

    /// Whether there is anything to do it to.
    #[must_use]
    pub fn is_possible(self, bus: BusKind, db: DbKind) -> bool {
        let bus_server = bus != BusKind::Embedded;
        match self {
            Self::Kill | Self::Freeze | Self::BusWipe => true,
            Self::BusKill => bus_server,
            Self::BusTruncate => bus == BusKind::Redis,
            Self::BusPurge | Self::BusDelete => bus == BusKind::Nats,
            Self::DbStop => db == DbKind::Postgres,
            Self::NetSlow | Self::NetReset | Self::NetHalfClose | Self::NetBlackhole => {
                bus_server || db == DbKind::Postgres
            }
        }
    }

    /// Whether it is done only when it is asked for.
    #[must_use]
    pub const fn is_on_demand(self) -> bool {
        matches!(self, Self::BusDelete)
    }

    /// Which lane does it.
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self {
            Self::Kill | Self::Freeze => Lane::Workers,
            _ => Lane::Beneath,
        }
    }
}

/// Faults of two lanes happen at once, those of one lane after each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// What is done to workers.
    Workers,
    /// What is done to the servers and networks beneath them.
    Beneath,
}

/// How fast faults follow each other, and how long they last.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Between the healing of one and the next of the same lane.
    pub gap: std::ops::Range<Millis>,
    /// How long a frozen worker stays frozen.
    pub freeze: std::ops::Range<Millis>,
    /// How long anything else lasts.
    pub lasts: std::ops::Range<Millis>,
}

impl Pace {
    /// For a run of this many seconds: longer freezes in longer runs.
    #[must_use]
    pub const fn for_seconds(seconds: u64) -> Self {
        if seconds < 180 {
            Self {
                gap: 500..3_000,
                freeze: 1_000..6_000,
                lasts: 100..2_000,
            }
        } else {
            Self {
                gap: 1_000..8_000,
                freeze: 5_000..60_000,
                lasts: 200..8_000,
            }
        }
    }
}

/// One fault to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// How long to wait before it.
    pub wait: Millis,
    /// What.
    pub kind: Kind,
    /// Which worker, where it is about one; to be taken modulo their number.
    pub worker: usize,
    /// Whether a network fault lies before the database.
    pub before_store: bool,
    /// How long it lasts.
    pub lasts: Millis,
    /// How many bytes a truncation cuts.
    pub bytes: u64,
}

/// Faults from a seed, without end.
pub struct Schedule {
    chance: StdRng,
    kinds: Vec<Kind>,
    pace: Pace,
}

impl Schedule {
    /// The faults of these kinds; the same for the same seed.
    #[must_use]
    pub fn new(seed: u64, kinds: Vec<Kind>, pace: Pace) -> Self {
        Self {
            chance: StdRng::seed_from_u64(seed),
            kinds,
            pace,
        }
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let chance = &mut self.chance;
        if self.kinds.is_empty() {
            return None;
        }
        let kind = *self.kinds.get(chance.random_range(0..self.kinds.len()))?;
        let lasts = match kind {
            Kind::Freeze => self.pace.freeze.clone(),
            _ => self.pace.lasts.clone(),
        };
        Some(Step {
            wait: chance.random_range(self.pace.gap.clone()),
            kind,
            worker: chance.random_range(0..1_000),
            before_store: chance.random_bool(0.5),
            lasts: chance.random_range(lasts),
            bytes: chance.random_range(1..4_000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(seed: u64) -> Vec<Step> {
        let pace = Pace::for_seconds(30);
        Schedule::new(seed, KINDS.to_vec(), pace)
            .take(200)
            .collect()
    }

    #[test]
    fn a_seed_is_a_schedule() {
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
    }

    #[test]
    fn every_kind_comes_up_where_it_is_possible() {
        for kind in KINDS {
            assert!(steps(7).iter().any(|step| step.kind == kind), "{kind:?}");
        }
        assert!(!Kind::DbStop.is_possible(BusKind::Redis, DbKind::Sqlite));
        assert!(!Kind::NetReset.is_possible(BusKind::Embedded, DbKind::Sqlite));
        assert!(Kind::BusWipe.is_possible(BusKind::Embedded, DbKind::Sqlite));
    }

    #[test]
    fn nothing_to_do_is_no_schedule() {
        assert_eq!(
            Schedule::new(1, Vec::new(), Pace::for_seconds(1)).next(),
            None
        );
    }
}
