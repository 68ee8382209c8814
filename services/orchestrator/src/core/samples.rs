//! Several answers to one question, and the vote among them (self-consistency).

use std::collections::BTreeMap;

use nexus_contracts::chat::ToolCall;
use nexus_contracts::events::{Agreement, InferenceCompleted};
use serde_json::Value;

/// Randomness of answers that are drawn to vote, where nobody set it: alike enough to agree,
/// different enough to mean something (Wang et al. 2022 sample at 0.5 to 0.7).
pub const TEMPERATURE: f64 = 0.7;

/// What most answers say, by its place, and how many say it. Of two views held by equally many the
/// one heard first wins.
#[must_use]
pub fn vote(answers: &[&InferenceCompleted]) -> Option<(usize, Agreement)> {
    if let [_] = answers {
        let agreement = Agreement {
            samples: 1,
            agreeing: 1,
        };
        return Some((0, agreement));
    }
    let mut views: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, answer) in answers.iter().enumerate() {
        views.entry(view(answer)).or_default().push(at);
    }
    let held = views
        .values()
        .max_by_key(|held| (held.len(), std::cmp::Reverse(held.first())))?;
    let agreement = Agreement {
        samples: u8::try_from(answers.len()).unwrap_or(u8::MAX),
        agreeing: u8::try_from(held.len()).unwrap_or(u8::MAX),
    };
    Some((*held.first()?, agreement))
}

/// What an answer says, so that the same said in other words compares equal where that can be told
/// without a model: the same tool calls, the same final number, or the same words.
fn view(answer: &InferenceCompleted) -> String {
    if answer.message.tool_calls.is_empty() {
        let text = &answer.message.content;
        return final_number(text).map_or_else(|| words(text), |number| format!("= {number}"));
    }
    let mut calls: Vec<String> = answer.message.tool_calls.iter().map(call).collect();
    calls.sort_unstable();
    format!("call {}", calls.join(" "))
}

fn call(call: &ToolCall) -> String {
    // Parsed and written again: order of keys and white space mean nothing.
    let arguments = serde_json::from_str::<Value>(&call.arguments);
    let arguments = arguments.map_or_else(|_| call.arguments.clone(), |value| value.to_string());
    format!("{}({arguments})", call.name)
}

/// The number that ends the last line, without separators of thousands and useless zeros.
fn final_number(text: &str) -> Option<String> {
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    let token = line.split_whitespace().next_back()?;
    let token = token.trim_matches(|c: char| !c.is_ascii_digit() && c != '-');
    let plain: String = token.chars().filter(|c| *c != ',').collect();
    let number: f64 = plain.parse().ok()?;
    number.is_finite().then(|| number.to_string())
}

fn words(text: &str) -> String {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_contracts::Extra;
    use nexus_contracts::chat::{ChatMessage, FinishReason, Role, Usage};

    fn answer(text: &str) -> InferenceCompleted {
        InferenceCompleted {
            message: ChatMessage::text(Role::Assistant, text),
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
            provider: "p".to_owned(),
            model: "m".to_owned(),
            duration_ms: 0,
            metadata: Extra::new(),
            extra: Extra::new(),
        }
    }

    fn asks(arguments: &str) -> InferenceCompleted {
        let mut answer = answer("");
        answer.message.tool_calls.push(ToolCall {
            id: arguments.len().to_string(),
            name: "math_solver".to_owned(),
            arguments: arguments.to_owned(),
        });
        answer
    }

    fn voted(answers: &[InferenceCompleted]) -> (usize, u8) {
        let (at, agreement) = vote(&answers.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(usize::from(agreement.samples), answers.len());
        (at, agreement.agreeing)
    }

    #[test]
    fn the_same_number_in_other_words_agrees() {
        let answers = [
            "It is 1,592.",
            "37 * 43 = 1591",
            "The answer is **1591**.",
            "1591.0",
        ];
        assert_eq!(voted(&answers.map(answer)), (1, 3));
    }

    #[test]
    fn case_and_punctuation_mean_nothing() {
        assert_eq!(voted(&["Rome", "Paris.", "paris"].map(answer)), (1, 2));
    }

    #[test]
    fn of_equally_many_the_first_wins() {
        assert_eq!(voted(&["no", "yes"].map(answer)), (0, 1));
        assert_eq!(vote(&[]), None);
    }

    #[test]
    fn tool_calls_agree_whatever_their_spelling() {
        let answers = [
            answer("12"),
            asks(r#"{"a":1,"b":2}"#),
            asks(r#"{ "b": 2, "a": 1 }"#),
        ];
        assert_eq!(voted(&answers), (1, 2));
    }
}
