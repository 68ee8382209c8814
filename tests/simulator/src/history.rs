//! What a model must be told.

use std::collections::BTreeSet;

use nexus_contracts::chat::{ChatMessage, Role};

use crate::asked::markers;

/// What is wrong with what a model is told.
///
/// Every tool call has exactly one result, before anything else is said; no message is there twice;
/// and it is the model's turn.
pub(crate) fn check(messages: &[ChatMessage]) -> Result<(), String> {
    let mut open: BTreeSet<&str> = BTreeSet::new();
    let mut said = BTreeSet::new();
    for (at, message) in messages.iter().enumerate() {
        if message.role == Role::Tool {
            let call = message.tool_call_id.as_deref().unwrap_or_default();
            if !open.remove(call) {
                return Err(format!(
                    "message {at} is the result of `{call}`, which nobody called"
                ));
            }
            continue;
        }
        if let Some(call) = open.first() {
            return Err(format!("message {at} comes before the result of `{call}`"));
        }
        match message.role {
            Role::System if at > 0 => return Err(format!("message {at} is an instruction")),
            Role::User => {
                for words in markers(&message.content) {
                    if !said.insert(words) {
                        return Err(format!(
                            "message {at}, `{}`, is there twice",
                            message.content
                        ));
                    }
                }
            }
            Role::Assistant => {
                for call in &message.tool_calls {
                    if !open.insert(&call.id) {
                        return Err(format!("message {at} calls `{}` twice", call.id));
                    }
                }
            }
            Role::System | Role::Tool => {}
        }
    }
    if let Some(call) = open.first() {
        return Err(format!("the call `{call}` has no result"));
    }
    match messages.last().map(|message| message.role) {
        Some(Role::User | Role::Tool) => Ok(()),
        last => Err(format!("it is not the model's turn after {last:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_contracts::chat::ToolCall;

    fn says(role: Role, text: &str) -> ChatMessage {
        ChatMessage::text(role, text)
    }

    fn calls(ids: &[&str]) -> ChatMessage {
        let call = |id: &&str| ToolCall {
            id: (*id).to_owned(),
            name: "look".to_owned(),
            arguments: "{}".to_owned(),
        };
        ChatMessage {
            tool_calls: ids.iter().map(call).collect(),
            ..says(Role::Assistant, "")
        }
    }

    fn result(id: &str) -> ChatMessage {
        ChatMessage::tool_result(id, "done")
    }

    fn wrong(messages: &[ChatMessage]) -> String {
        check(messages).err().unwrap_or_default()
    }

    #[test]
    fn a_whole_history_is_taken() {
        let whole = [
            says(Role::System, "be brief"),
            says(Role::User, "q1z"),
            calls(&["a", "b"]),
            result("b"),
            result("a"),
            says(Role::Assistant, "q1z"),
            says(Role::User, "q2z"),
        ];
        assert_eq!(check(&whole), Ok(()));
    }

    #[test]
    fn calls_and_results_belong_together() {
        let user = || says(Role::User, "q1z");
        assert!(wrong(&[user(), calls(&["a"])]).contains("no result"));
        assert!(wrong(&[user(), calls(&["a"]), user()]).contains("before the result"));
        assert!(wrong(&[user(), calls(&["a", "a"]), result("a")]).contains("twice"));
        let twice = [user(), calls(&["a"]), result("a"), result("a")];
        assert!(wrong(&twice).contains("nobody called"));
    }

    #[test]
    fn nothing_is_there_twice_and_it_is_the_models_turn() {
        let user = || says(Role::User, "q1z");
        assert!(wrong(&[user(), says(Role::Assistant, "ok"), user()]).contains("twice"));
        assert!(wrong(&[user(), says(Role::Assistant, "ok")]).contains("turn"));
        assert!(wrong(&[user(), says(Role::System, "x"), user()]).contains("instruction"));
        assert!(wrong(&[]).contains("turn"));
    }
}
