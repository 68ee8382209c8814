//! What a person wants, as far as the demo model understands it.

use super::arithmetic;
use super::facts::{self, Fact};
use super::phrases::{find, find_any, plain};

/// Most sums the demo model works out in one answer.
const MOST_SUMS: usize = 8;

/// The highest number it counts to.
pub const COUNT_LIMIT: u32 = 10_000;

/// One thing a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Hello.
    Greeting,
    /// How are you?
    HowAreYou,
    /// Thank you.
    Thanks,
    /// Goodbye.
    Farewell,
    /// Who are you?
    WhoAreYou,
    /// What can you do?
    Help,
    /// A sum, as the solver should get it.
    Compute(String),
    /// What time or day it is.
    Time,
    /// Keep this in mind.
    Remember(Fact),
    /// What did I tell you?
    Recall(String),
    /// Count up to this number.
    Count(u32),
}

/// Phrases that stand for an intent by themselves.
const PHRASES: &[(Intent, &[&str])] = &[
    (
        Intent::Greeting,
        &[
            "hello",
            "hi",
            "hey",
            "howdy",
            "greetings",
            "good morning",
            "good afternoon",
            "good evening",
        ],
    ),
    (
        Intent::HowAreYou,
        &[
            "how are you",
            "how's it going",
            "how do you do",
            "how are things",
        ],
    ),
    (
        Intent::Thanks,
        &["thanks", "thank you", "thx", "much obliged"],
    ),
    (
        Intent::Farewell,
        &[
            "bye",
            "goodbye",
            "good bye",
            "see you",
            "good night",
            "farewell",
        ],
    ),
    (
        Intent::WhoAreYou,
        &[
            "who are you",
            "what are you",
            "your name",
            "are you human",
            "are you an ai",
            "are you real",
            "are you a bot",
            "which model",
            "what model",
        ],
    ),
    (
        Intent::Help,
        &[
            "help",
            "what can you do",
            "what do you know",
            "how do you work",
            "what do you do",
        ],
    ),
    (
        Intent::Time,
        &[
            "what time",
            "current time",
            "time is it",
            "what's the time",
            "whats the time",
            "what is the time",
            "tell me the time",
            "and the time",
            "time now",
            "what day",
            "what date",
            "current date",
            "what's the date",
            "what is the date",
            "today's date",
            "and the date",
        ],
    ),
];

/// Everything a text asks for, in its order. Empty when nothing is understood.
#[must_use]
pub fn intents(text: &str) -> Vec<Intent> {
    let plain = plain(text);
    let mut found: Vec<(usize, Intent)> = PHRASES
        .iter()
        .filter_map(|(intent, phrases)| Some((find_any(&plain, phrases)?, intent.clone())))
        .collect();
    let sums = arithmetic::expressions(&plain).into_iter().take(MOST_SUMS);
    found.extend(sums.map(|(at, sum)| (at, Intent::Compute(sum))));
    if let Some((at, what)) = facts::asked(&plain) {
        found.push((at, Intent::Recall(what)));
    } else if let Some(fact) = facts::told(text) {
        found.push((fact.at, Intent::Remember(fact)));
    }
    found.extend(count(&plain));
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, intent)| intent).collect()
}

/// "Count to 20", "count from 1 to 20".
fn count(plain: &str) -> Option<(usize, Intent)> {
    let at = find(plain, "count")?;
    let rest = plain.get(at..)?;
    let to = find(rest, "to")? + "to".len();
    let number = rest.get(to..)?.split_whitespace().next()?;
    let number = number.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number = number.parse::<u32>().ok()?.min(COUNT_LIMIT);
    Some((at, Intent::Count(number)))
}
