//! A conversation with tools as one without.

use std::collections::HashMap;

use nexus_contracts::chat::{ChatMessage, Role, ToolCall, ToolSpec};
use serde::Serialize;
use serde_json::{Map, Value};

use super::marks::{Mark, json, unmarked};

/// How to ask for a tool. The tools follow.
const INSTRUCTIONS: &str = r#"# Tools

You can call tools. To call one, write this, with nothing else on its lines:

<tool_call>
{"name": "name_of_the_tool", "arguments": {"argument": "value"}}
</tool_call>

The arguments are one JSON object that fits the JSON Schema in the "parameters" of the tool. For several calls write several such blocks, one after the other. Then stop: what the tools give back comes in the next message, in <tool_response> blocks. Never write such a block yourself, and call nothing that is not listed here. If you need no tool, just answer.

The tools, one on each line:"#;

/// A tool as chat completions describe it, which is what models have seen.
#[derive(Serialize)]
struct Described<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

/// What a tool gave back. Of a call nobody knows there is no name.
#[derive(Serialize)]
struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    content: &'a str,
}

/// These messages without calls and results other than in text, and with instructions for these tools.
#[must_use]
pub fn messages(said: &[ChatMessage], tools: &[ToolSpec]) -> Vec<ChatMessage> {
    let mut rendered = Vec::with_capacity(said.len() + 1);
    // Of a call, by its id: which one of its message it is, and its tool. The latest counts.
    let mut calls: HashMap<&str, (usize, &str)> = HashMap::new();
    for group in said.chunk_by(|one, next| one.role == Role::Tool && next.role == Role::Tool) {
        if let [first, ..] = group
            && first.role == Role::Tool
        {
            rendered.push(results(group, &calls));
            continue;
        }
        for message in group {
            rendered.push(asking(message));
            let made = message.tool_calls.iter().enumerate();
            calls.extend(made.map(|(place, call)| (&*call.id, (place, &*call.name))));
        }
    }
    instruct(&mut rendered, tools);
    rendered
}

/// What a model said, with its calls behind it.
fn asking(message: &ChatMessage) -> ChatMessage {
    if message.tool_calls.is_empty() {
        return message.clone();
    }
    let said = Some(message.content.clone()).filter(|said| !said.is_empty());
    let calls = message.tool_calls.iter().map(call);
    let parts: Vec<String> = said.into_iter().chain(calls).collect();
    // What providers keep with a message repeats its calls in their own form: it is left out.
    ChatMessage {
        images: message.images.clone(),
        ..ChatMessage::text(message.role, parts.join("\n"))
    }
}

fn call(call: &ToolCall) -> String {
    let arguments = match call.arguments.trim() {
        "" => "{}".to_owned(),
        // As it was written: read and written again, large numbers would come out as others.
        object if serde_json::from_str::<Map<String, Value>>(object).is_ok() => unmarked(object),
        broken => json(&broken),
    };
    let name = json(&call.name);
    Mark::Call.around(&format!(r#"{{"name": {name}, "arguments": {arguments}}}"#))
}

/// Results that came one after the other, in one message, in the order of the calls: the model has given
/// them no ids to know them by.
fn results(group: &[ChatMessage], calls: &HashMap<&str, (usize, &str)>) -> ChatMessage {
    let of = |message: &ChatMessage| calls.get(message.tool_call_id.as_deref()?).copied();
    let mut group: Vec<&ChatMessage> = group.iter().collect();
    group.sort_by_key(|message| of(message).map_or(usize::MAX, |(place, _)| place));
    let blocks = group.iter().map(|message| {
        let name = of(message).map(|(_, name)| name);
        let content = message.content.as_str();
        Mark::Response.around(&json(&Response { name, content }))
    });
    let blocks: Vec<String> = blocks.collect();
    let images = group.iter().flat_map(|message| message.images.clone());
    ChatMessage {
        images: images.collect(),
        ..ChatMessage::text(Role::User, blocks.join("\n"))
    }
}

/// Puts the tools behind what the model is told anyway.
fn instruct(messages: &mut Vec<ChatMessage>, tools: &[ToolSpec]) {
    if tools.is_empty() {
        return;
    }
    let described = tools.iter().map(|tool| {
        json(&Described {
            r#type: "function",
            function: Function {
                name: &tool.name,
                description: &tool.description,
                parameters: &tool.parameters,
            },
        })
    });
    let described: Vec<String> = described.collect();
    let described = described.join("\n");
    let told = format!("{INSTRUCTIONS}\n\n<tools>\n{described}\n</tools>");
    match messages.first_mut() {
        Some(first) if first.role == Role::System => {
            first.content = format!("{}\n\n{told}", first.content);
        }
        _ => messages.insert(0, ChatMessage::text(Role::System, told)),
    }
}
