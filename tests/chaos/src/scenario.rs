//! What a run consists of: its shape, its talk, its faults, and how long everything may take.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::config::{BusKind, DbKind, Tuning};
use crate::deployment::Shape;
use crate::fault::{KINDS, Kind, Pace};
use crate::talk::Topics;
use crate::wipe::{POINTS, Point};

/// What can be chosen on the command line.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The bus
    #[arg(long, value_enum, default_value = "redis")]
    pub bus: BusKind,
    /// The database; with PostgreSQL the services that work have two replicas
    #[arg(long, value_enum, default_value = "sqlite")]
    pub db: DbKind,
    /// How long faults are injected, in minutes; 0.5 is half a minute
    #[arg(long, default_value_t = 1.0)]
    pub minutes: f64,
    /// What every choice is made from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Conversations going on at a time
    #[arg(long, default_value_t = 24)]
    pub talkers: usize,
    /// Breaks the orchestrator on purpose, in a run made to show it
    #[arg(long, value_name = "NAME")]
    pub mutant: Option<String>,
    /// With --mutant: the same run, and nothing broken; every invariant must hold
    #[arg(long, requires = "mutant")]
    pub sound: bool,
    /// Only these kinds of faults
    #[arg(long, value_enum, value_delimiter = ',')]
    pub focus: Vec<Kind>,
    /// How long after healing an answer may take, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub patience: Option<u64>,
    /// Instead of faults by chance: wipes the bus at each of ten points, with this many
    /// conversations at each
    #[arg(long, value_name = "CONVERSATIONS")]
    pub wipes: Option<usize>,
}

/// A run, decided.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Servers and workers.
    pub shape: Shape,
    /// What every choice is made from.
    pub seed: u64,
    /// How long faults are injected.
    pub lasts: Duration,
    /// How long after healing an answer may take.
    pub patience: Duration,
    /// Conversations going on at a time.
    pub talkers: usize,
    /// What is talked about.
    pub topics: Topics,
    /// Which faults.
    pub kinds: Vec<Kind>,
    /// How fast they follow each other.
    pub pace: Pace,
    /// Only workers whose names begin so are killed and frozen.
    pub only: Option<String>,
    /// Whether the run begins with a worker that is late; needs replicas.
    pub takeover: bool,
    /// A service that is away until everything is healed.
    pub away: Option<&'static str>,
    /// Instead of faults by chance: where the bus is wiped, and how many conversations stand there.
    pub wipes: Option<(Vec<Point>, usize)>,
}

/// The ways to break the orchestrator, each with the run that shows it.
pub const MUTANTS: [&str; 5] = [
    "ack-before-commit",
    "no-inbox",
    "no-compare-and-set",
    "no-sweeper",
    "timers-reset",
];

impl Scenario {
    /// The run these options ask for.
    ///
    /// # Errors
    /// When there is no such mutant, or it does not show on this bus or database.
    pub fn new(options: &Options) -> Result<Self> {
        let seconds = (options.minutes * 60.0).max(1.0);
        let pace = Pace::for_seconds(seconds as u64);
        let wanted = |kind: &Kind| {
            let chosen = match options.focus.as_slice() {
                [] => !kind.is_on_demand(),
                focus => focus.contains(kind),
            };
            chosen && kind.is_possible(options.bus, options.db)
        };
        let patience = Duration::from_secs(options.patience.unwrap_or(60));
        let replicas = options.db == DbKind::Postgres && options.bus != BusKind::Embedded;
        let by_chance = options.focus.is_empty() && options.mutant.is_none();
        let mut scenario = Self {
            shape: Shape {
                bus: options.bus,
                db: options.db,
                tuning: Tuning::default(),
            },
            seed: options.seed,
            lasts: Duration::from_secs_f64(seconds),
            patience,
            talkers: options.talkers,
            topics: Topics::default(),
            kinds: KINDS.into_iter().filter(wanted).collect(),
            pace,
            only: None,
            takeover: replicas && by_chance,
            away: None,
            wipes: options.wipes.map(|each| (POINTS.to_vec(), each)),
        };
        if let Some(mutant) = &options.mutant {
            scenario.show(mutant)?;
            let broken = (!options.sound).then(|| mutant.clone());
            scenario.shape.tuning.mutant = broken;
            scenario.patience = Duration::from_secs(options.patience.unwrap_or(8));
        }
        Ok(scenario)
    }

    /// A run in which a sound orchestrator passes and this mutant does not.
    fn show(&mut self, mutant: &str) -> Result<()> {
        self.lasts = self.lasts.min(Duration::from_secs(8));
        self.kinds = Vec::new();
        self.only = Some("orchestrator".to_owned());
        self.pace.gap = 500..1_500;
        self.pace.lasts = 50..200;
        match mutant {
            // What was acknowledged and not committed dies with the process.
            "ack-before-commit" => self.kinds = vec![Kind::Kill],
            // Every question on the bus is there twice.
            "no-inbox" => self.topics.twice = 1.0,
            // Two results at once, to two replicas.
            "no-compare-and-set" => self.topics.pause = Duration::ZERO,
            // What the bus lost, only the sweeper brings back.
            "no-sweeper" => self.wipes = Some((vec![Point::InferenceRequested], 20)),
            // Nobody but the orchestrator could end these runs, and every restart begins their
            // time anew.
            "timers-reset" => {
                self.kinds = vec![Kind::Kill];
                self.away = Some("provider-router");
                self.topics.silence = 1.0;
                self.shape.tuning.run_timeout = Duration::from_secs(4);
                self.lasts = Duration::from_secs(16);
            }
            other => bail!("no mutant is called `{other}`; there are {MUTANTS:?}"),
        }
        if self.shape.bus == BusKind::Embedded {
            bail!("mutants are shown on a bus with processes of their own: --bus redis or nats");
        }
        if mutant == "no-compare-and-set" && self.shape.db == DbKind::Sqlite {
            bail!("only two replicas compete: --db postgres");
        }
        Ok(())
    }
}
