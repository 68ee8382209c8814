//! What a request to the model says. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::history::Call;
use crate::prompt::{Prompt, Transcript};

/// A request to the model, read.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The question that is to be answered; none where it is not one of ours.
    pub prompt: Option<Prompt>,
    /// For the ledger, without number and time.
    pub call: Call,
}

fn text<'a>(message: &'a Value, field: &str) -> &'a str {
    message
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Reads the body of a chat completion request.
#[must_use]
pub fn heard(body: &Value) -> Heard {
    let messages = body.get("messages").and_then(Value::as_array);
    let messages = messages.map(Vec::as_slice).unwrap_or_default();
    let mut transcript = Transcript::default();
    let mut heard = Heard::default();
    let mut pairs = Pairs::default();
    let mut conversations = BTreeSet::new();
    for message in messages {
        let content = text(message, "content");
        match text(message, "role") {
            "user" => {
                pairs.close();
                transcript.user(content);
                heard.prompt = content.parse::<Prompt>().ok();
                heard.call.results = 0;
                if let Some(prompt) = &heard.prompt {
                    heard.call.turns.push(prompt.turn);
                    conversations.insert(prompt.conversation.clone());
                }
            }
            "assistant" => {
                pairs.close();
                say(message, &mut transcript, &mut pairs);
            }
            "tool" => {
                transcript.result();
                heard.call.results += 1;
                let product = heard
                    .prompt
                    .as_ref()
                    .and_then(|prompt| prompt.task.product());
                pairs.result(text(message, "tool_call_id"), content, product);
            }
            _ => {}
        }
    }
    pairs.close();
    heard.call.unpaired = pairs.wrong;
    if let Some(prompt) = &heard.prompt {
        conversations.remove(&prompt.conversation);
        heard.call.client.clone_from(&prompt.client);
        heard.call.conversation.clone_from(&prompt.conversation);
        heard.call.turn = prompt.turn;
        heard.call.digest = transcript.digest();
        heard.call.strangers = conversations.into_iter().collect();
    }
    heard
}

fn say(message: &Value, transcript: &mut Transcript, pairs: &mut Pairs) {
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for call in calls.into_iter().flatten() {
        let part = |pointer| call.pointer(pointer).and_then(Value::as_str);
        let tool = part("/function/name").unwrap_or_default();
        transcript.call(tool, part("/function/arguments").unwrap_or_default());
        pairs
            .open
            .push((text(call, "id").to_owned(), tool.to_owned()));
    }
    let content = text(message, "content");
    if !content.is_empty() {
        transcript.assistant(content);
    }
}

/// Tool calls and their results.
#[derive(Default)]
struct Pairs {
    open: Vec<(String, String)>,
    wrong: Vec<String>,
}

impl Pairs {
    fn result(&mut self, id: &str, content: &str, product: Option<u64>) {
        let Some(at) = self.open.iter().position(|(open, _)| open == id) else {
            self.wrong
                .push(format!("a result for {id}, which is not open"));
            return;
        };
        let (_, tool) = self.open.swap_remove(at);
        let expected = product.map(|product| product.to_string());
        // Thousands may be grouped.
        let digits = content.replace(',', "");
        if tool == "math_solver" && expected.is_some_and(|expected| !digits.contains(&expected)) {
            self.wrong.push(format!("{tool} returned {content}"));
        }
    }

    /// The model speaks, or somebody else does: what is open now stays without a result.
    fn close(&mut self) {
        let open = self.open.drain(..);
        self.wrong
            .extend(open.map(|(id, tool)| format!("{tool} {id} has no result")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::prompt::Task;

    fn prompt(turn: u32, task: Task) -> Prompt {
        Prompt {
            client: "acme".to_owned(),
            conversation: "acme-1".to_owned(),
            turn,
            task,
        }
    }

    fn calls(prompt: &Prompt) -> Value {
        let calls = prompt.task.tools().into_iter().enumerate();
        let calls = calls.map(|(at, asked)| {
            let function = json!({ "name": asked.tool, "arguments": asked.arguments });
            json!({ "id": format!("c{at}"), "type": "function", "function": function })
        });
        json!({ "role": "assistant", "content": null, "tool_calls": calls.collect::<Vec<_>>() })
    }

    fn result(id: &str, content: &str) -> Value {
        json!({ "role": "tool", "tool_call_id": id, "content": content })
    }

    fn said(prompt: &Prompt) -> Value {
        json!({ "role": "user", "content": prompt.to_string() })
    }

    #[test]
    fn the_model_and_the_client_hash_alike() {
        let (first, second) = (prompt(1, Task::Answer), prompt(2, Task::Both(21, 43)));
        let messages = vec![
            json!({ "role": "system", "content": "be kind" }),
            said(&first),
            json!({ "role": "assistant", "content": "heard it" }),
            said(&second),
            calls(&second),
            result("c1", "noon"),
            result("c0", "{\"result\":\"903\"}"),
        ];
        let heard = heard(&json!({ "messages": messages }));
        let mut transcript = Transcript::default();
        transcript.question(&first);
        transcript.assistant("heard it");
        transcript.question(&second);
        assert_eq!(heard.call.digest, transcript.digest());
        assert_eq!(heard.call.turns, [1, 2]);
        assert_eq!(heard.call.results, 2);
        assert_eq!(heard.call.unpaired, Vec::<String>::new());
        assert_eq!(heard.call.strangers, Vec::<String>::new());
    }

    #[test]
    fn orphans_doubles_and_wrong_results_are_noticed() {
        let asked = prompt(1, Task::Product(21, 43));
        let right = result("c0", "903");
        for results in [
            vec![],
            vec![right.clone(), right],
            vec![result("c0", "904")],
            vec![result("c9", "903")],
        ] {
            let mut messages = vec![said(&asked), calls(&asked)];
            messages.extend(results);
            let heard = heard(&json!({ "messages": messages }));
            assert!(!heard.call.unpaired.is_empty(), "{messages:?}");
        }
    }

    #[test]
    fn another_conversation_in_the_prompt_is_noticed() {
        let mut other = prompt(1, Task::Answer);
        other.conversation = "bolt-1".to_owned();
        let messages = vec![said(&other), said(&prompt(1, Task::Answer))];
        let heard = heard(&json!({ "messages": messages }));
        assert_eq!(heard.call.strangers, ["bolt-1"]);
    }
}
