//! What is told: times, what was added to them, and whether that is what was meant.

use anyhow::Result;
use serde::Serialize;

use super::figures::{Both, Figures, Spread};
use super::rounds::Scene;
use super::streams::{Streamed, Through};
use crate::measure::{at_least, at_most};
use crate::table::{Table, say};

/// The path whose figures there are goals for.
pub(super) const CORE: &str = "dispatch core";

/// What the dispatch core may add, in milliseconds: half of the calls, and all but one of a hundred.
const ADDED_P50: f64 = 0.1;
const ADDED_P99: f64 = 0.5;

/// One path in one scene.
#[derive(Serialize)]
pub(super) struct Measured {
    /// Who.
    pub(super) path: String,
    /// How much at a time.
    #[serde(flatten)]
    pub(super) scene: Scene,
    /// What came of it.
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// Connections to the upstream that were opened meanwhile.
    pub(super) connections: u64,
    /// Runnable processes over the last minute.
    pub(super) load: String,
}

/// Calls a second of one path, without pauses.
#[derive(Serialize)]
pub(super) struct Throughput {
    /// Who.
    pub(super) path: String,
    /// Calls at a time.
    pub(super) in_flight: usize,
    /// Words of each answer.
    pub(super) words: usize,
    /// The bare client.
    pub(super) floor_per_second: f64,
    /// This path.
    pub(super) per_second: f64,
    /// This path over the bare client.
    pub(super) ratio_to_floor: f64,
}

/// Something that was meant to be reached.
#[derive(Serialize)]
struct Goal {
    goal: String,
    seen: String,
    met: bool,
}

/// All paths.
#[derive(Serialize)]
pub(super) struct Report {
    prompt_bytes: usize,
    /// Latencies.
    pub(super) measured: Vec<Measured>,
    /// Calls a second.
    pub(super) throughput: Vec<Throughput>,
    /// Who could not be measured to the end, and why.
    pub(super) failed: Vec<String>,
}

impl Report {
    /// Nothing yet.
    pub(super) const fn new(prompt_bytes: usize) -> Self {
        Self {
            prompt_bytes,
            measured: Vec::new(),
            throughput: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Everything in one line.
    pub(super) fn json(&self) -> Result<String> {
        json_line(self, &self.goals())
    }

    /// Prints everything.
    pub(super) fn print(&self) -> Result<()> {
        self.times()?;
        self.added()?;
        self.calls()?;
        for failed in &self.failed {
            say(&format!("not measured to the end: {failed}"))?;
        }
        table_of(&self.goals())
    }

    fn times(&self) -> Result<()> {
        say("\nMilliseconds, p50 / p90 / p99:")?;
        let mut table = Table::new([
            "path",
            "in flight",
            "pause ms",
            "rounds",
            "first token",
            "bare beside it",
            "whole answer",
            "bare beside it",
            "connections",
            "load",
        ]);
        for one in &self.measured {
            let (other, floor) = (&one.figures.other, &one.figures.floor);
            table.row(&[
                one.path.clone(),
                one.scene.in_flight.to_string(),
                one.scene.pause_ms.to_string(),
                one.figures.rounds.to_string(),
                other.first.map_or_else(none, three),
                other.first.and(floor.first).map_or_else(none, three),
                three(other.whole),
                three(floor.whole),
                one.connections.to_string(),
                one.load.clone(),
            ]);
        }
        table.print()
    }

    fn added(&self) -> Result<()> {
        say("Added to the bare client in milliseconds, p50 / p99:")?;
        let mut table = Table::new([
            "path",
            "in flight",
            "first token",
            "whole answer",
            "first, in a round",
            "whole, in a round",
            "bare to bare, in a round",
            "by 38–45 ms (bare)",
            "by over 35 ms (bare)",
        ]);
        for one in &self.measured {
            let figures = &one.figures;
            let (steps, floor) = (figures.steps, figures.floor_steps);
            table.row(&[
                one.path.clone(),
                one.scene.in_flight.to_string(),
                figures.added.first.map_or_else(none, two),
                two(figures.added.whole),
                figures.paired.first.map_or_else(none, two),
                two(figures.paired.whole),
                two(figures.alike.whole),
                format!("{} ({})", steps.step, floor.step),
                format!("{} ({})", steps.slow, floor.slow),
            ]);
        }
        table.print()
    }

    fn calls(&self) -> Result<()> {
        say("Calls a second, without pauses:")?;
        let mut table = Table::new([
            "path",
            "in flight",
            "tokens",
            "calls/s",
            "bare beside it",
            "ratio",
        ]);
        for one in &self.throughput {
            table.row(&[
                one.path.clone(),
                one.in_flight.to_string(),
                one.words.to_string(),
                at_least(one.per_second, 0),
                at_least(one.floor_per_second, 0),
                at_least(one.ratio_to_floor, 3),
            ]);
        }
        table.print()
    }

    fn goals(&self) -> Vec<Goal> {
        let core = self.measured.iter().filter(|one| one.path == CORE);
        let mut goals = Vec::new();
        for one in core {
            let in_flight = one.scene.in_flight;
            let Both { first, whole } = one.figures.added;
            let parts = [("first token", first), ("whole answer", Some(whole))];
            for (part, added) in parts {
                let Some(added) = added else { continue };
                let limits = [
                    ("p50", added.p50_ms, ADDED_P50),
                    ("p99", added.p99_ms, ADDED_P99),
                ];
                goals.extend(limits.map(|(percentile, ms, limit)| Goal {
                    goal: format!(
                        "{CORE}, {in_flight} in flight, {percentile} of the {part}: at most {limit} ms added"
                    ),
                    seen: format!("{} ms", at_most(ms, 3)),
                    met: ms <= limit,
                }));
            }
            let (ours, bare) = (one.figures.steps, one.figures.floor_steps);
            goals.push(Goal {
                goal: format!(
                    "{CORE}, {in_flight} in flight: no step of 40 ms (no more calls 38 to 45 ms over \
                     the bare one than bare ones are)"
                ),
                seen: format!(
                    "{} of {} calls, bare {}; over 35 ms {}, bare {}",
                    ours.step, one.figures.rounds, bare.step, ours.slow, bare.slow
                ),
                met: ours.step <= bare.step,
            });
        }
        goals
    }
}

/// Many streams at once, by each way.
#[derive(Default, Serialize)]
pub(super) struct Streams {
    /// The ways.
    pub(super) streams: Vec<Streamed>,
}

impl Streams {
    /// Everything in one line.
    pub(super) fn json(&self) -> Result<String> {
        json_line(self, &self.goals())
    }

    fn goals(&self) -> Vec<Goal> {
        self.streams.iter().map(kept).collect()
    }

    /// Prints everything.
    pub(super) fn print(&self) -> Result<()> {
        say("")?;
        let mut table = Table::new([
            "through",
            "streams",
            "tokens",
            "pause ms",
            "at once",
            "whole",
            "lost",
            "first token p50 / p99 ms",
            "whole p50 / p99 ms",
            "seconds",
            "tokens/s",
            "MiB before",
            "peak MiB",
            "KiB a stream",
            "load",
        ]);
        for one in &self.streams {
            let spent = (one.peak_mib - one.resident_mib) * 1024.0;
            let tokens = (one.whole * one.words) as f64;
            table.row(&[
                one.through.name().to_owned(),
                one.streams.to_string(),
                one.words.to_string(),
                one.pause_ms.to_string(),
                one.seen.at_once.to_string(),
                one.whole.to_string(),
                lost(one).to_string(),
                one.first.map_or_else(none, two),
                one.took.map_or_else(none, two),
                at_most(one.seconds, 1),
                at_least(tokens / one.seconds, 0),
                at_most(one.resident_mib, 0),
                at_most(one.peak_mib, 0),
                at_most(spent / one.streams.max(1) as f64, 0),
                one.load.clone(),
            ]);
        }
        table.print()?;
        let wrong = self.streams.iter();
        for (through, wrong) in wrong.filter_map(|one| Some((one.through, one.wrong.as_ref()?))) {
            say(&format!("{}: {wrong}", through.name()))?;
        }
        table_of(&self.goals())
    }
}

const fn lost(streamed: &Streamed) -> usize {
    streamed.streams.saturating_sub(streamed.whole)
}

/// The goal of one way: nothing lost, and really at once.
fn kept(one: &Streamed) -> Goal {
    let who = match one.through {
        Through::Core => "",
        _ => ", with bus and database",
    };
    Goal {
        goal: format!(
            "{} streams of {} tokens at once through {}{who}: none lost",
            one.streams,
            one.words,
            one.through.name()
        ),
        seen: format!(
            "{} lost, {} at once, peak {} MiB",
            lost(one),
            one.seen.at_once,
            at_most(one.peak_mib, 0)
        ),
        met: lost(one) == 0 && one.seen.at_once >= one.streams as u64,
    }
}

fn table_of(goals: &[Goal]) -> Result<()> {
    let mut table = Table::new(["goal", "seen", ""]);
    for goal in goals {
        let met = if goal.met { "met" } else { "**missed**" };
        table.row(&[goal.goal.clone(), goal.seen.clone(), met.to_owned()]);
    }
    table.print()
}

fn json_line(report: &impl Serialize, goals: &[Goal]) -> Result<String> {
    let mut value = serde_json::to_value(report)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("goals".to_owned(), serde_json::to_value(goals)?);
    }
    Ok(serde_json::to_string(&value)?)
}

fn three(spread: Spread) -> String {
    let Spread {
        p50_ms,
        p90_ms,
        p99_ms,
    } = spread;
    format!("{p50_ms:.3} / {p90_ms:.3} / {p99_ms:.3}")
}

fn two(spread: Spread) -> String {
    let Spread { p50_ms, p99_ms, .. } = spread;
    format!("{} / {}", at_most(p50_ms, 3), at_most(p99_ms, 3))
}

fn none() -> String {
    "–".to_owned()
}
