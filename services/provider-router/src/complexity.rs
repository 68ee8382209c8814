//! How complex a question to a model is: a number from 0 to 1, and what it is made of. Pure.
//!
//! A guess from the form of the last message of the user; it costs microseconds and asks nobody.
//! What else was said counts only as size. English is read best, German, Spanish and French in
//! their basics, other languages by form alone. That a question needs fresh facts or a model that
//! sees pictures is no complexity; routes say so by other means.
//!
//! | feature | how measured | most it adds |
//! |---|---|---|
//! | `length` | 0.001 a token (4 bytes) of prose beyond 20 | 0.20 |
//! | `parts` | 0.04 a sentence, question or word of sequence (then, finally) beyond the first | 0.16 |
//! | `explaining` | words that ask for a text: explain, how does, write; 0.15, each further 0.06 | 0.27 |
//! | `weighing` | words of judgement: why, compare, should I; 0.32, each further 0.12 | 0.56 |
//! | `working_out` | words of many steps: prove, design, debug; 0.42, each further 0.14 | 0.70 |
//! | `constraints` | 0.06 an item of a list or word of a condition: must, at most, without | 0.30 |
//! | `code` | lines of code; 0.30 for the first, each further 0.005 | 0.40 |
//! | `code_words` | words and signs of programming outside code; 0.12, each further 0.05 | 0.22 |
//! | `formulas` | 0.04 a sign of mathematics | 0.16 |
//! | `data` | lines of JSON, CSV or a table outside code; 0.10, each further 0.01 | 0.15 |
//! | `images` | pictures that go with it; 0.20, each further 0.05 | 0.30 |
//! | `tools` | tools offered; 0.05 for the first, each further 0.01 | 0.15 |
//! | `context` | 0.02 per 1000 tokens of everything else that was said | 0.15 |
//! | `carries_on` | a mere "go on": what the question before it scores | 1.00 |
//! | `small_talk` | at most 6 plain words that begin with a greeting or thanks | −0.20 |
//! | `trivial` | at most 12 plain words that look one fact up or do one sum | −0.15 |
//!
//! Plain is what shows none of `explaining` to `code_words`, and no `data`.
//!
//! No word by itself makes a question hard. The numbers were set by hand so that the questions in
//! the tests come out as a person would sort them.

mod cues;
mod text;

use std::fmt;

use nexus_contracts::chat::{ChatMessage, Role, ToolSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use text::Text;

/// Below it a question is simple. From the plan: "local: fast, cheap".
pub const LOW: f64 = 0.3;
/// From it on a question is hard. From the plan: below "search-augmented", above "complex reasoning".
pub const HIGH: f64 = 0.7;

/// How complex, in the three steps that routes know.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Any model will do.
    Low,
    /// Wants a solid model.
    Medium,
    /// Wants the strongest model.
    High,
}

impl Level {
    /// The level of a score. What is no number is high: a model too strong only costs more.
    #[must_use]
    pub const fn of(score: f64) -> Self {
        match score {
            score if score < LOW => Self::Low,
            score if score < HIGH => Self::Medium,
            _ => Self::High,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// Something about a question that makes it more or less complex.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Feature {
    /// Its name in the table of this module.
    pub name: &'static str,
    /// What was seen: a count, or words out of this module's lists. Never the user's own text.
    pub value: String,
    /// What it added to the score; less than 0 when it speaks for a simple question.
    pub adds: f64,
}

/// How complex a question is, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Complexity {
    /// 0 to 1: the sum of what the features added, within these bounds.
    pub score: f64,
    /// Everything that added something.
    pub features: Vec<Feature>,
}

impl Complexity {
    /// Adds the features up.
    #[must_use]
    pub fn of(features: Vec<Feature>) -> Self {
        // From 0, because the empty sum of floats is -0.
        let sum = features.iter().fold(0.0, |sum, feature| sum + feature.adds);
        let score = f64::clamp(sum, 0.0, 1.0);
        Self { score, features }
    }

    /// The level of the score.
    #[must_use]
    pub const fn level(&self) -> Level {
        Level::of(self.score)
    }
}

/// What a model is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What was said, oldest first.
    pub messages: &'a [ChatMessage],
    /// The tools the model may ask for.
    pub tools: &'a [ToolSpec],
}

/// Says how complex a question is. A learned one can take the place of [`Heuristic`].
pub trait Estimator: Send + Sync {
    /// The same question always gets the same answer.
    #[must_use]
    fn estimate(&self, question: &Question<'_>) -> Complexity;
}

/// Judges by the table of this module. Time grows with the length of what was said and no faster.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heuristic;

impl Estimator for Heuristic {
    fn estimate(&self, question: &Question<'_>) -> Complexity {
        let said = question.messages.iter();
        let mut asked = said.rev().filter(|message| message.role == Role::User);
        let last = asked.next();
        let mut features = last.map(by_itself).unwrap_or_default();
        let goes_on = |message: &&ChatMessage| Text::read(&message.content).goes_on();
        if last.as_ref().is_some_and(goes_on) {
            let before = asked.find(|message| !goes_on(message)).map(by_itself);
            let adds = Complexity::of(before.unwrap_or_default()).score;
            features.extend(feature(
                "carries_on",
                "the question before".to_owned(),
                adds,
            ));
        }
        let total: usize = question.messages.iter().map(size).sum();
        let context = total.saturating_sub(last.map_or(0, size)) / TOKEN;
        features.extend(TOOLS.counted(count(question.tools.len())));
        features.extend(CONTEXT.counted(count(context)));
        Complexity::of(features)
    }
}

/// The features of one message, whatever stands around it.
fn by_itself(message: &ChatMessage) -> Vec<Feature> {
    let mut features = Text::read(&message.content).features();
    features.extend(IMAGES.counted(count(message.images.len())));
    features
}

/// Bytes of what a model reads of a message.
fn size(message: &ChatMessage) -> usize {
    let calls = message.tool_calls.iter();
    let calls: usize = calls
        .map(|call| call.name.len() + call.arguments.len())
        .sum();
    message.content.len() + calls
}

/// Bytes of a token, roughly, in most languages and models.
const TOKEN: usize = 4;

const LENGTH: Weight = Weight::new("length", 20, 0.001, 0.001, 0.20);
const PARTS: Weight = Weight::new("parts", 1, 0.04, 0.04, 0.16);
const EXPLAINING: Weight = Weight::new("explaining", 0, 0.15, 0.06, 0.27);
const WEIGHING: Weight = Weight::new("weighing", 0, 0.32, 0.12, 0.56);
const WORKING_OUT: Weight = Weight::new("working_out", 0, 0.42, 0.14, 0.70);
const CONSTRAINTS: Weight = Weight::new("constraints", 0, 0.06, 0.06, 0.30);
const CODE: Weight = Weight::new("code", 0, 0.30, 0.005, 0.40);
const CODE_WORDS: Weight = Weight::new("code_words", 0, 0.12, 0.05, 0.22);
const FORMULAS: Weight = Weight::new("formulas", 0, 0.04, 0.04, 0.16);
const DATA: Weight = Weight::new("data", 0, 0.10, 0.01, 0.15);
const IMAGES: Weight = Weight::new("images", 0, 0.20, 0.05, 0.30);
const TOOLS: Weight = Weight::new("tools", 0, 0.05, 0.01, 0.15);
const CONTEXT: Weight = Weight::new("context", 0, 0.000_02, 0.000_02, 0.15);
const SMALL_TALK: f64 = -0.20;
const TRIVIAL: f64 = -0.15;

/// What a count adds: nothing up to `free`, `first` for the next, `each` for one more, `most` in all.
struct Weight {
    name: &'static str,
    free: u32,
    first: f64,
    each: f64,
    most: f64,
}

impl Weight {
    const fn new(name: &'static str, free: u32, first: f64, each: f64, most: f64) -> Self {
        Self {
            name,
            free,
            first,
            each,
            most,
        }
    }

    fn adds(&self, seen: u32) -> f64 {
        match seen.saturating_sub(self.free) {
            0 => 0.0,
            over => self
                .each
                .mul_add(f64::from(over - 1), self.first)
                .min(self.most),
        }
    }

    fn counted(&self, seen: u32) -> Option<Feature> {
        feature(self.name, seen.to_string(), self.adds(seen))
    }

    fn said(&self, cues: &[&str]) -> Option<Feature> {
        feature(self.name, cues.join(", "), self.adds(count(cues.len())))
    }
}

fn feature(name: &'static str, value: String, adds: f64) -> Option<Feature> {
    (adds != 0.0).then_some(Feature { name, value, adds })
}

fn count(seen: usize) -> u32 {
    u32::try_from(seen).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
