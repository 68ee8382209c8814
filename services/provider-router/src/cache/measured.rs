//! How often the semantic cache is wrong, and how often it helps, on the committed pairs.
//!
//! Pairs in even lines (from 0) were there to choose words and threshold by; those in odd lines only to
//! be counted. Three ways: what the vectors of the demo say alone; what the guard says alone, as if all
//! vectors were the same, which no model, however bad, makes worse; and both, as the router does. And
//! every text with every text of the other pairs, which have nothing to do with each other.

use serde::Deserialize;

use super::guard::Features;
use super::index::Direction;
use crate::DEFAULT_CONFIG;
use crate::demo::embed::{USUAL_LENGTH, vector};

const PAIRS: &str = include_str!("../../tests/data/paraphrases.jsonl");

#[derive(Deserialize)]
struct Line {
    a: String,
    b: String,
    same: bool,
}

struct Text {
    text: String,
    direction: Direction,
    features: Features,
}

impl Text {
    fn of(text: String) -> Self {
        Self {
            direction: Direction::of(&vector(&text, USUAL_LENGTH)).unwrap(),
            features: Features::of(&text, &[0; 16]),
            text,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Vectors,
    Guard,
    Both,
}

impl Way {
    fn finds(self, one: &Text, other: &Text, least: f32) -> bool {
        let near = one.direction.cosine(&other.direction).unwrap() >= least;
        let let_through = one.features.agree(&other.features).is_ok();
        match self {
            Self::Vectors => near,
            Self::Guard => let_through,
            Self::Both => near && let_through,
        }
    }
}

fn threshold() -> f32 {
    let mut lines = DEFAULT_CONFIG.lines();
    let similarity = lines.find_map(|line| line.trim().strip_prefix("similarity: "));
    similarity.unwrap().parse().unwrap()
}

fn pairs() -> Vec<(Text, Text, bool)> {
    let pair = |line| {
        let Line { a, b, same } = serde_json::from_str(line).unwrap();
        (Text::of(a), Text::of(b), same)
    };
    PAIRS.lines().map(pair).collect()
}

#[test]
fn how_often_it_is_wrong_and_how_often_it_helps() {
    let (pairs, least) = (pairs(), threshold());
    for (half, first) in [("even", 0), ("odd", 1)] {
        for way in [Way::Vectors, Way::Guard, Way::Both] {
            let count = |wanted| {
                let half = pairs.iter().skip(first).step_by(2);
                let asked = half.filter(move |(_, _, same)| *same == wanted);
                let found = asked.clone().filter(|(a, b, _)| way.finds(a, b, least));
                (found.count(), asked.count())
            };
            let (wrong, right) = (count(false), count(true));
            println!("{half} lines, {way:?} at {least}: wrong {wrong:?}, right {right:?}");
            if !matches!(way, Way::Vectors) {
                assert_eq!(wrong.0, 0, "{half} lines, {way:?}");
                assert!(right.0 > 0, "{half} lines, {way:?}: of some use");
            }
        }
    }
}

#[test]
fn how_often_unrelated_questions_count_as_the_same() {
    let (pairs, least) = (pairs(), threshold());
    let (mut all, mut guard, mut both) = (0, 0, 0);
    for (place, (a, _, _)) in pairs.iter().enumerate() {
        let others = pairs.iter().skip(place + 1).map(|(_, b, _)| b);
        for b in others.filter(|b| b.text != a.text) {
            all += 1;
            guard += usize::from(Way::Guard.finds(a, b, least));
            both += usize::from(Way::Both.finds(a, b, least));
        }
    }
    println!("unrelated: {guard} of {all} by the guard alone, {both} by both");
    assert!(guard * 5000 <= all && both == 0);
}
