//! What of a conversation a model gets to see.

use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::tokens;

/// Where the window begins that holds at most `most` messages and about `budget` tokens.
///
/// It opens on a person's message: one that opened on a tool's result would be refused by every
/// provider. The last turn is always whole, however long it is.
#[must_use]
pub fn window_start(messages: &[ChatMessage], most: usize, budget: u64) -> usize {
    let mut start = messages.len();
    let mut used = 0_u64;
    for (at, message) in messages.iter().enumerate().rev() {
        used = used.saturating_add(tokens::of_message(message));
        let fits = messages.len() - at <= most && used <= budget;
        let last_turn = start == messages.len();
        if !fits && !last_turn {
            break;
        }
        if message.role == Role::User {
            start = at;
        }
    }
    if start == messages.len() { 0 } else { start }
}

/// Forgets what no model gets to see any more; gives how many messages that were.
pub fn trim(messages: &mut Vec<ChatMessage>, most: usize, budget: u64) -> usize {
    let start = window_start(messages, most, budget);
    messages.drain(..start);
    start
}

/// What the model is told to be: the instructions, and what was said before the window.
#[must_use]
pub fn system(instructions: &str, summary: Option<&str>) -> String {
    match summary {
        None => instructions.to_owned(),
        Some(summary) => {
            let before = format!("What was said before, in short:\n{summary}");
            if instructions.is_empty() {
                before
            } else {
                format!("{instructions}\n\n{before}")
            }
        }
    }
}

/// The messages with the system message before them, if there is one.
#[must_use]
pub fn prompt(system: String, messages: &[ChatMessage]) -> Vec<ChatMessage> {
    let first = (!system.is_empty()).then(|| ChatMessage::text(Role::System, system));
    first.into_iter().chain(messages.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(roles: &[Role]) -> Vec<ChatMessage> {
        let message = |role: &Role| ChatMessage::text(*role, "12345678");
        roles.iter().map(message).collect()
    }

    const TALK: [Role; 6] = [
        Role::User,
        Role::Assistant,
        Role::User,
        Role::Assistant,
        Role::Tool,
        Role::User,
    ];

    #[test]
    fn a_window_opens_on_a_person() {
        let messages = conversation(&TALK);
        let starts = [6, 5, 4, 3, 2, 1].map(|most| window_start(&messages, most, u64::MAX));
        assert_eq!(starts, [0, 2, 2, 5, 5, 5]);
    }

    #[test]
    fn a_window_keeps_to_its_budget() {
        let messages = conversation(&TALK);
        let each = tokens::of_message(&messages[0]);
        assert_eq!(each, 6);
        let starts = [6, 5, 4, 1].map(|whole| window_start(&messages, 99, each * whole));
        assert_eq!(starts, [0, 2, 2, 5]);
    }

    #[test]
    fn the_last_turn_stays_whole() {
        let messages = conversation(&[Role::User, Role::Assistant, Role::User, Role::Assistant]);
        assert_eq!(window_start(&messages, 1, 1), 2);
        assert_eq!(window_start(&messages[..2], 1, 1), 0);
        assert_eq!(window_start(&[], 1, 1), 0);
    }

    #[test]
    fn a_summary_stands_before_the_window() {
        assert_eq!(prompt(system("", None), &[]).len(), 0);
        let both = system("Be brief.", Some("They met."));
        assert!(
            both.starts_with("Be brief.\n\n") && both.ends_with("They met."),
            "{both}"
        );
        assert_eq!(prompt(both, &conversation(&TALK))[0].role, Role::System);
    }
}
