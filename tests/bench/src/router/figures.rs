//! What rounds come to: percentiles, differences, and steps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::asker::Sample;
use super::rounds::Round;

/// The wait of Nagle's algorithm for a delayed acknowledgement is 40 ms on Linux; what it adds to a call
/// lies about here, in milliseconds.
const STEP: std::ops::RangeInclusive<f64> = 38.0..=45.0;

/// What is looked at with suspicion, in milliseconds.
const SLOW: f64 = 35.0;

/// Percentiles, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    /// Half are below.
    pub(super) p50_ms: f64,
    /// Nine of ten are below.
    pub(super) p90_ms: f64,
    /// All but one of a hundred are below.
    pub(super) p99_ms: f64,
}

impl Spread {
    /// Of these, in milliseconds; `None` of none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        // The nearest rank, as everywhere in these figures.
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).saturating_sub(1);
            values.get(rank).copied()
        };
        Some(Self {
            p50_ms: at(50)?,
            p90_ms: at(90)?,
            p99_ms: at(99)?,
        })
    }

    /// What this has more than another one, percentile by percentile.
    fn over(self, other: Self) -> Self {
        Self {
            p50_ms: self.p50_ms - other.p50_ms,
            p90_ms: self.p90_ms - other.p90_ms,
            p99_ms: self.p99_ms - other.p99_ms,
        }
    }
}

/// Of the first word, where it is heard, and of the whole answer.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Both {
    /// Until the first word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first: Option<Spread>,
    /// Until the end.
    pub(super) whole: Spread,
}

/// How often one call took much longer than the one beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Steps {
    /// By 38 to 45 ms.
    pub(super) step: usize,
    /// By more than 35 ms.
    pub(super) slow: usize,
}

/// What rounds come to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Figures {
    /// How many rounds.
    pub(super) rounds: usize,
    /// The bare client, both calls of each round.
    pub(super) floor: Both,
    /// Who is measured.
    pub(super) other: Both,
    /// Its percentiles over those of the bare client.
    pub(super) added: Both,
    /// Percentiles of the differences within each round.
    pub(super) paired: Both,
    /// The same of the two bare calls: what a difference is when there is none.
    pub(super) alike: Both,
    /// Steps over the bare call beside it.
    pub(super) steps: Steps,
    /// Steps of one bare call over the other.
    pub(super) floor_steps: Steps,
}

impl Figures {
    /// Of these rounds; `None` of none.
    pub(super) fn of(rounds: &[Round]) -> Option<Self> {
        let bare = rounds.iter().flat_map(|round| [round.floor, round.again]);
        let floor = Both::of(bare)?;
        let other = Both::of(rounds.iter().map(|round| round.other))?;
        Some(Self {
            rounds: rounds.len(),
            floor,
            other,
            added: Both {
                first: other.first.zip(floor.first).map(|(one, two)| one.over(two)),
                whole: other.whole.over(floor.whole),
            },
            paired: Both::between(rounds, |round| (round.other, round.floor))?,
            alike: Both::between(rounds, |round| (round.again, round.floor))?,
            steps: Steps::between(rounds, |round| (round.other, round.floor)),
            floor_steps: Steps::between(rounds, |round| (round.again, round.floor)),
        })
    }
}

impl Both {
    fn of(samples: impl Iterator<Item = Sample> + Clone) -> Option<Self> {
        let firsts = samples.clone().filter_map(|sample| sample.first);
        Some(Self {
            first: Spread::of(firsts.map(ms)),
            whole: Spread::of(samples.map(|sample| ms(sample.whole)))?,
        })
    }

    fn between(rounds: &[Round], pair: fn(&Round) -> (Sample, Sample)) -> Option<Self> {
        let differences = rounds.iter().map(pair).map(difference);
        let firsts = differences.clone().filter_map(|(first, _)| first);
        Some(Self {
            first: Spread::of(firsts),
            whole: Spread::of(differences.map(|(_, whole)| whole))?,
        })
    }
}

impl Steps {
    fn between(rounds: &[Round], pair: fn(&Round) -> (Sample, Sample)) -> Self {
        let differences = rounds.iter().map(pair).map(difference);
        let count = |is: fn(f64) -> bool| {
            let either = |(first, whole): &(Option<f64>, f64)| first.is_some_and(is) || is(*whole);
            differences.clone().filter(either).count()
        };
        Self {
            step: count(|ms| STEP.contains(&ms)),
            slow: count(|ms| ms > SLOW),
        }
    }
}

fn difference((one, other): (Sample, Sample)) -> (Option<f64>, f64) {
    let first = one.first.zip(other.first);
    let first = first.map(|(one, other)| ms(one) - ms(other));
    (first, ms(one.whole) - ms(other.whole))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(first: u64, whole: u64) -> Sample {
        Sample {
            first: Some(Duration::from_millis(first)),
            whole: Duration::from_millis(whole),
        }
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let spread = Spread::of((1..=100).rev().map(f64::from)).unwrap();
        assert_eq!(
            (spread.p50_ms, spread.p90_ms, spread.p99_ms),
            (50.0, 90.0, 99.0)
        );
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn differences_and_steps_are_counted_beside_the_bare_call() {
        let mut rounds = vec![
            Round {
                floor: sample(1, 10),
                again: sample(1, 10),
                other: sample(2, 13),
            };
            9
        ];
        rounds.push(Round {
            floor: sample(1, 10),
            again: sample(1, 46),
            other: sample(41, 50),
        });
        let figures = Figures::of(&rounds).unwrap();
        assert_eq!(figures.rounds, 10);
        assert_eq!(figures.added.first.unwrap().p50_ms, 1.0);
        assert_eq!(figures.paired.whole.p50_ms, 3.0);
        assert_eq!(figures.paired.whole.p99_ms, 40.0);
        assert_eq!(figures.alike.whole.p50_ms, 0.0);
        assert_eq!(figures.steps, Steps { step: 1, slow: 1 });
        assert_eq!(figures.floor_steps, Steps { step: 0, slow: 1 });
        assert!(Figures::of(&[]).is_none());
    }
}
