//! What the demo model says.

use nexus_contracts::chat::ToolCall;
use nexus_contracts::derive_id;
use serde_json::{Value, json};

use super::conversation::{Call, Conversation, Tool};
use super::facts;
use super::intent::{Intent, intents};
use super::results::{self, CLOCK, SOLVER};
use super::summary;

/// A reply: text, or tools to call first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub text: String,
    /// The tools it wants called.
    pub calls: Vec<ToolCall>,
}

const HELP: &str = "I work out sums (try `What is 37 * 43?`), tell the time, remember what you \
    tell me (`My name is Ada`), count (`count to 20`) and make small talk.";

const DEMO: &str = "I am the demo model: I run without a network and have learned nothing.";

const REAL: &str = "For anything else, configure a real provider in config/providers.yaml.";

/// Replies to the open question: asks for the tools it needs, or, once they were called, says
/// what came of it.
#[must_use]
pub fn reply(conversation: &Conversation<'_>) -> Reply {
    if summary::is_wanted(&conversation.instructions) {
        return Reply {
            text: summary::of(conversation.question),
            calls: Vec::new(),
        };
    }
    let wanted = intents(conversation.question);
    if conversation.calls.is_empty() {
        let needed = wanted.iter().filter_map(tool_of);
        let calls: Vec<ToolCall> = needed
            .enumerate()
            .filter_map(|(ordinal, (name, subject))| {
                let tool = conversation.tool(name)?;
                Some(tool_call(conversation, tool, subject, ordinal))
            })
            .collect();
        if !calls.is_empty() {
            return Reply {
                text: String::new(),
                calls,
            };
        }
    }
    Reply {
        text: say(conversation, &wanted),
        calls: Vec::new(),
    }
}

/// The tool an intent needs, and what to ask it.
fn tool_of(intent: &Intent) -> Option<(&'static str, &str)> {
    match intent {
        Intent::Compute(sum) => Some((SOLVER, sum)),
        Intent::Time => Some((CLOCK, "")),
        _ => None,
    }
}

/// A call whose id depends on nothing but the request, so that asking again asks for the same.
fn tool_call(
    conversation: &Conversation<'_>,
    tool: Tool<'_>,
    subject: &str,
    ordinal: usize,
) -> ToolCall {
    let arguments = if subject.is_empty() {
        "{}".to_owned()
    } else {
        json!({ argument_name(tool.parameters): subject }).to_string()
    };
    let place = [conversation.position as u64, ordinal as u64]
        .map(u64::to_be_bytes)
        .concat();
    let question = conversation.question.as_bytes();
    let id = derive_id([
        place.as_slice(),
        question,
        tool.name.as_bytes(),
        arguments.as_bytes(),
    ]);
    ToolCall {
        id: format!("call_{}", id.simple()),
        name: tool.name.to_owned(),
        arguments,
    }
}

/// The argument that takes the sum: the first required one of the tool's schema.
fn argument_name(parameters: &Value) -> &str {
    let required = parameters
        .get("required")
        .and_then(|names| names.get(0)?.as_str());
    required.unwrap_or("expression")
}

fn say(conversation: &Conversation<'_>, wanted: &[Intent]) -> String {
    let mut calls = conversation.calls.iter();
    let mut said: Vec<String> = Vec::new();
    for intent in wanted {
        let sentence = match tool_of(intent) {
            Some((name, subject)) => with_tool(conversation, name, subject, &mut calls),
            None => talk(conversation, intent),
        };
        if !said.contains(&sentence) {
            said.push(sentence);
        }
    }
    // Calls that somebody else decided on: say what came of those too.
    said.extend(calls.map(results::sentence));
    if said.is_empty() {
        return format!("{DEMO} {HELP} {REAL}");
    }
    join(&said)
}

/// Sentences into one text; a sum gets its full stop when something follows.
fn join(said: &[String]) -> String {
    let mut text = String::new();
    for (place, sentence) in said.iter().enumerate() {
        let ended = sentence.ends_with(['.', '!', '?']);
        text.push_str(sentence);
        if place + 1 < said.len() {
            text.push_str(if ended { " " } else { ". " });
        } else if place > 0 && !ended {
            text.push('.');
        }
    }
    text
}

fn with_tool<'a>(
    conversation: &Conversation<'_>,
    name: &str,
    subject: &str,
    calls: &mut impl Iterator<Item = &'a Call<'a>>,
) -> String {
    if conversation.calls.iter().any(|call| call.name == name) {
        return calls.next().map_or_else(
            || format!("No result came back for {subject}."),
            results::sentence,
        );
    }
    let goal = if subject.is_empty() {
        "tell the time"
    } else {
        &format!("work out {subject}")
    };
    format!("I cannot {goal}: the tool `{name}` is not offered in this conversation.")
}

fn talk(conversation: &Conversation<'_>, intent: &Intent) -> String {
    match intent {
        Intent::Greeting => "Hello!".to_owned(),
        Intent::HowAreYou => "I am fine, thank you.".to_owned(),
        Intent::Thanks => "You are welcome!".to_owned(),
        Intent::Farewell => "Goodbye!".to_owned(),
        Intent::WhoAreYou => DEMO.to_owned(),
        Intent::Help => HELP.to_owned(),
        Intent::Remember(fact) if fact.what == "name" => {
            format!("Nice to meet you, {}!", fact.value)
        }
        Intent::Remember(fact) => {
            format!("I will remember that your {} is {}.", fact.what, fact.value)
        }
        Intent::Recall(what) => match facts::recall(&conversation.earlier, what) {
            Some(value) => format!("Your {what} is {value}."),
            None => format!("You have not told me your {what} in this conversation."),
        },
        Intent::Count(limit) => {
            let numbers: Vec<String> = (1..=*limit).map(|number| number.to_string()).collect();
            format!("{}.", numbers.join(" "))
        }
        Intent::Compute(_) | Intent::Time => String::new(),
    }
}
