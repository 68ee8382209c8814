//! What people say about themselves, remembered for as long as the conversation holds it.

use super::phrases::{clause, find, plain, straight};

/// Longer than this is a story, not a fact; in characters.
const LONGEST: usize = 60;

/// Something a person told: their `what` is `value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Such as `name` or `favourite colour`; lower case.
    pub what: String,
    /// As they wrote it.
    pub value: String,
    /// Where in the text they said it.
    pub at: usize,
}

/// The fact told in a text, if any.
#[must_use]
pub fn told(text: &str) -> Option<Fact> {
    let text = straight(text);
    let plain = plain(&text);
    named(&text, &plain).or_else(|| owned(&text, &plain))
}

/// What a person asks about themselves: `name` in "what is my name?", and where they ask.
#[must_use]
pub fn asked(plain: &str) -> Option<(usize, String)> {
    const QUESTIONS: &[&str] = &[
        "what is my",
        "what's my",
        "whats my",
        "what was my",
        "do you know my",
        "do you remember my",
        "remember my",
        "tell me my",
    ];
    for question in QUESTIONS {
        let Some(at) = find(plain, question) else {
            continue;
        };
        let rest = plain.get(at + question.len()..).unwrap_or_default();
        let (what, _) = clause(rest);
        let what = what.strip_suffix(" again").unwrap_or(what);
        if is_short(what) && find(what, "is").is_none() {
            return Some((at, what.to_owned()));
        }
    }
    find(plain, "who am i").map(|at| (at, "name".to_owned()))
}

/// The newest value of `what` in texts ordered from old to new.
#[must_use]
pub fn recall(texts: &[&str], what: &str) -> Option<String> {
    let told = texts.iter().rev().filter_map(|text| told(text));
    told.filter(|fact| fact.what == what)
        .map(|fact| fact.value)
        .next()
}

/// "My name is Ada", "I am called Ada".
fn named(text: &str, plain: &str) -> Option<Fact> {
    ["my name is", "my name's", "i am called", "i'm called"]
        .iter()
        .find_map(|phrase| {
            let at = find(plain, phrase)?;
            let value = value_at(text, at + phrase.len())?;
            Some(Fact {
                what: "name".to_owned(),
                value,
                at,
            })
        })
}

/// "My favourite colour is blue".
fn owned(text: &str, plain: &str) -> Option<Fact> {
    let at = find(plain, "my")?;
    let rest = plain.get(at + "my".len()..)?;
    let is = find(rest, "is")?;
    let what = rest.get(..is)?.trim();
    let words = what.split_whitespace().count();
    if words == 0 || words > 3 || !what.chars().all(|c| c.is_alphanumeric() || c == ' ') {
        return None;
    }
    let value = value_at(text, at + "my".len() + is + "is".len())?;
    Some(Fact {
        what: what.to_owned(),
        value,
        at,
    })
}

/// The clause that begins at this place, as the person wrote it.
fn value_at(text: &str, at: usize) -> Option<String> {
    let (value, end) = clause(text.get(at..)?);
    (end != Some('?') && is_short(value)).then(|| value.to_owned())
}

fn is_short(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= LONGEST
}
