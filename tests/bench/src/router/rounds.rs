//! Rounds: in each of them the bare client asks, somebody else asks, and the bare client asks once more,
//! in turning order. So whatever the machine does at that moment happens to all of them, and the two
//! bare calls show how much two calls differ that are alike.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::asker::{Asker, Sample};
use super::wanted::Wanted;

/// No scene takes longer: of somebody slow there are fewer rounds then.
const LONGEST: Duration = Duration::from_secs(60);

/// Fewest rounds of each lane, however long they take: the first one warms up.
const FEWEST: usize = 2;

/// How much is asked at a time.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Scene {
    /// Calls at a time.
    pub(super) in_flight: usize,
    /// Words of each answer.
    pub(super) words: usize,
    /// The pause between two words, in milliseconds.
    pub(super) pause_ms: u64,
    /// Rounds, after a tenth as many to warm up.
    pub(super) rounds: usize,
}

impl Scene {
    const fn wanted(self) -> Wanted {
        Wanted {
            words: self.words,
            pause_ms: self.pause_ms,
        }
    }
}

/// The three of a round.
#[derive(Clone)]
pub(super) struct Trio {
    /// The bare client.
    pub(super) floor: Arc<dyn Asker>,
    /// Another one that is alike.
    pub(super) again: Arc<dyn Asker>,
    /// Who is measured.
    pub(super) other: Arc<dyn Asker>,
}

/// What the three took.
#[derive(Clone, Copy)]
pub(super) struct Round {
    /// The bare client.
    pub(super) floor: Sample,
    /// The other bare client.
    pub(super) again: Sample,
    /// Who is measured.
    pub(super) other: Sample,
}

impl Trio {
    /// All rounds of a scene.
    pub(super) async fn measure(&self, scene: Scene) -> Result<Vec<Round>> {
        let until = Instant::now() + LONGEST;
        let each = scene.rounds.div_ceil(scene.in_flight.max(1));
        let warm_up = each.div_ceil(10);
        let mut lanes = JoinSet::new();
        for lane in 0..scene.in_flight {
            let trio = self.clone();
            let turns = lane..lane + each + warm_up;
            lanes.spawn(async move {
                let mut rounds = trio.lane(turns, scene.wanted(), until).await?;
                // Cut short, it still has been warm for a while.
                let cold = warm_up.min(rounds.len() / 2);
                anyhow::Ok(rounds.split_off(cold))
            });
        }
        let mut all = Vec::new();
        while let Some(rounds) = lanes.join_next().await {
            all.extend(rounds??);
        }
        Ok(all)
    }

    /// Round after round, until there is no time left.
    async fn lane(
        &self,
        turns: std::ops::Range<usize>,
        wanted: Wanted,
        until: Instant,
    ) -> Result<Vec<Round>> {
        let mut rounds = Vec::with_capacity(turns.len());
        for turn in turns {
            if rounds.len() >= FEWEST && Instant::now() > until {
                break;
            }
            rounds.push(self.round(turn, wanted).await?);
        }
        Ok(rounds)
    }

    async fn round(&self, turn: usize, wanted: Wanted) -> Result<Round> {
        let askers = [&self.floor, &self.again, &self.other];
        let mut samples = [None; 3];
        for (place, asker) in askers.iter().enumerate().cycle().skip(turn % 3).take(3) {
            let sample = asker.ask(wanted).await?;
            if let Some(slot) = samples.get_mut(place) {
                *slot = Some(sample);
            }
        }
        let [Some(floor), Some(again), Some(other)] = samples else {
            anyhow::bail!("somebody was not asked");
        };
        Ok(Round {
            floor,
            again,
            other,
        })
    }
}

/// Calls a second of one asker, so many in flight, for so long; the calls that are going on at the end
/// count as far as they are in time.
pub(super) async fn calls(
    asker: &Arc<dyn Asker>,
    (in_flight, words): (usize, usize),
    time: Duration,
) -> Result<f64> {
    let wanted = Wanted { words, pause_ms: 0 };
    let began = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..in_flight {
        let asker = Arc::clone(asker);
        lanes.spawn(async move {
            let mut calls = 0_u32;
            while began.elapsed() < time {
                asker.ask(wanted).await?;
                calls += 1;
            }
            anyhow::Ok(calls)
        });
    }
    let mut all = 0;
    while let Some(calls) = lanes.join_next().await {
        all += calls.context("a lane broke")??;
    }
    Ok(f64::from(all) / began.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;

    struct Fixed(u64, AtomicUsize);

    #[async_trait]
    impl Asker for Fixed {
        async fn ask(&self, _wanted: Wanted) -> Result<Sample> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Ok(Sample {
                first: None,
                whole: Duration::from_millis(self.0),
            })
        }
    }

    #[tokio::test]
    async fn everybody_is_asked_once_a_round_and_keeps_its_place() -> Result<()> {
        let fixed = |ms| Arc::new(Fixed(ms, AtomicUsize::new(0)));
        let (floor, again, other) = (fixed(1), fixed(2), fixed(3));
        let trio = Trio {
            floor: Arc::clone(&floor) as Arc<dyn Asker>,
            again,
            other,
        };
        let scene = Scene {
            in_flight: 4,
            words: 1,
            pause_ms: 0,
            rounds: 40,
        };
        let rounds = trio.measure(scene).await?;
        assert_eq!(rounds.len(), 40);
        assert_eq!(floor.1.load(Ordering::Relaxed), 44, "a tenth to warm up");
        let ms = |sample: Sample| sample.whole.as_millis();
        let in_place = |round: &Round| [round.floor, round.again, round.other].map(ms) == [1, 2, 3];
        assert!(rounds.iter().all(in_place));
        Ok(())
    }
}
