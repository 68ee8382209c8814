//! Effects: model calls and tool calls, by their ledgers and by what the orchestrator took.

use std::collections::{BTreeMap, BTreeSet};

use nexus_contracts::MessageId;

use super::Found;
use crate::history::{EffectRow, History};

/// Effects nobody got a result of, effects that were repeated although they must not be, and
/// messages that were taken twice.
pub fn effects_once(history: &History) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let messages: BTreeSet<&str> = history
        .journal
        .iter()
        .map(|row| row.message.as_str())
        .collect();
    // A router whose database is away publishes the answer it has paid for all the same, so a
    // result that is not stored may have been taken.
    let taken = |effect: &EffectRow| {
        let results = results_of(&effect.id);
        results.iter().any(|id| messages.contains(id.as_str()))
    };
    for effect in &history.effects {
        let about = || vec![format!("{} {}", effect.service, effect.id)];
        if !effect.done && !taken(effect) {
            found.push((about(), "begun, and nobody got a result".to_owned()));
        }
        if effect.class == "at_most_once" && effect.attempt > 1 {
            found.push((about(), format!("begun {} times", effect.attempt)));
        }
    }
    let mut times: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for row in &history.journal {
        *times
            .entry((&row.org, &row.conversation, &row.message))
            .or_default() += 1;
    }
    let twice = times.into_iter().filter(|(_, times)| *times > 1);
    found.extend(twice.map(|((_, conversation, message), times)| {
        let what = format!("message {message} was taken {times} times");
        (vec![conversation.to_owned()], what)
    }));
    found
}

/// The ids a result of this command can have.
fn results_of(command: &str) -> Vec<MessageId> {
    let Ok(command) = MessageId::new(command) else {
        return Vec::new();
    };
    ["inference", "tool", "poisoned"]
        .into_iter()
        .map(|kind| command.result(kind))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::world::{caught, good};
    use super::results_of;

    const NAME: &str = "effects-once";

    #[test]
    fn an_effect_without_a_result_is_caught() {
        caught(NAME, |history| history.effects[0].done = false);
    }

    #[test]
    fn a_result_that_was_taken_and_not_stored_is_no_loss() {
        let mut history = good();
        history.effects[0].done = false;
        history.journal[4].message = results_of("e")[1].to_string();
        assert_eq!(check(&history), []);
    }

    #[test]
    fn a_repetition_of_what_must_not_be_repeated_is_caught() {
        caught(NAME, |history| {
            history.effects[0].class = "at_most_once".to_owned();
        });
    }

    #[test]
    fn a_message_taken_twice_is_caught() {
        caught(NAME, |history| {
            history.journal[3].message = history.journal[2].message.clone();
        });
    }
}
