//! What of a conversation a model gets to see.

use nexus_contracts::chat::{ChatMessage, Role};

/// Drops the oldest messages until at most `max` are left, then until the first is a person's: a
/// window that opened on a tool's result would be refused by every provider.
pub fn trim(messages: &mut Vec<ChatMessage>, max: usize) {
    if messages.len() <= max {
        return;
    }
    let excess = messages.len() - max;
    let opens_turn = |message: &ChatMessage| message.role == Role::User;
    let found = messages
        .iter()
        .skip(excess)
        .position(opens_turn)
        .map(|at| at + excess);
    // No person speaks inside the window: keep the last turn whole, however long it is.
    let cut = found
        .or_else(|| messages.iter().rposition(opens_turn))
        .unwrap_or(0);
    messages.drain(..cut);
}

/// The window with the operator's instructions before it.
#[must_use]
pub fn prompt(system: &str, messages: &[ChatMessage]) -> Vec<ChatMessage> {
    let instructions = (!system.is_empty()).then(|| ChatMessage::text(Role::System, system));
    instructions
        .into_iter()
        .chain(messages.iter().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role) -> ChatMessage {
        ChatMessage::text(role, "x")
    }

    #[test]
    fn a_window_opens_on_a_person() {
        let roles = [
            Role::User,
            Role::Assistant,
            Role::Tool,
            Role::Assistant,
            Role::User,
        ];
        let mut messages: Vec<_> = roles.into_iter().map(message).collect();
        trim(&mut messages, 3);
        assert_eq!(
            messages.iter().map(|m| m.role).collect::<Vec<_>>(),
            [Role::User]
        );
    }

    #[test]
    fn a_turn_longer_than_the_window_stays_whole() {
        let roles = [
            Role::User,
            Role::Assistant,
            Role::User,
            Role::Assistant,
            Role::Tool,
        ];
        let mut messages: Vec<_> = roles.into_iter().map(message).collect();
        trim(&mut messages, 1);
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0].role, Role::User);
    }

    #[test]
    fn instructions_come_first_and_only_when_there_are_some() {
        let messages = [message(Role::User)];
        assert_eq!(prompt("", &messages).len(), 1);
        assert_eq!(prompt("be brief", &messages)[0].role, Role::System);
    }
}
