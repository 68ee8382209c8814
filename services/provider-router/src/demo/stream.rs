//! A reply as the events of a chat completions stream.

use serde::Serialize;

use super::MODEL;
use super::reply::Reply;

#[derive(Serialize)]
struct Chunk<'a> {
    object: &'static str,
    model: &'static str,
    #[serde(rename = "provider.demo")]
    demo: bool,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageField>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallPart<'a>; 1]>,
}

#[derive(Serialize)]
struct CallPart<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[derive(Clone, Copy, Serialize)]
struct UsageField {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

/// The data of each event: a word at a time, tool calls in two pieces each, then why it stopped,
/// then the words used, then `[DONE]`.
#[must_use]
pub fn events(reply: &Reply, input_words: u64) -> Vec<String> {
    let mut events = Vec::new();
    let mut used = 0;
    events.push(chunk(
        Delta {
            role: Some("assistant"),
            ..Delta::default()
        },
        None,
    ));
    for word in words(&reply.text) {
        used += 1;
        events.push(chunk(
            Delta {
                content: Some(word),
                ..Delta::default()
            },
            None,
        ));
    }
    for (index, call) in reply.calls.iter().enumerate() {
        used += call.arguments.split_whitespace().count() as u64;
        let begin = Function {
            name: Some(&call.name),
            arguments: "",
        };
        events.push(call_chunk(CallPart {
            index,
            id: Some(&call.id),
            function: begin,
        }));
        let rest = Function {
            name: None,
            arguments: &call.arguments,
        };
        events.push(call_chunk(CallPart {
            index,
            id: None,
            function: rest,
        }));
    }
    let reason = if reply.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    };
    events.push(chunk(Delta::default(), Some(reason)));
    let usage = UsageField {
        prompt_tokens: input_words,
        completion_tokens: used,
        total_tokens: input_words + used,
    };
    events.push(write(&[], Some(usage)));
    events.push("[DONE]".to_owned());
    events
}

/// Words with the white space before them, so that together they are the text again.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let word = rest
            .find(|c: char| !c.is_whitespace())
            .unwrap_or(rest.len());
        let tail = rest.get(word..).unwrap_or_default();
        let end = tail
            .find(char::is_whitespace)
            .map_or(rest.len(), |length| word + length);
        let (word, tail) = rest.split_at(end);
        rest = tail;
        Some(word)
    })
}

fn call_chunk(part: CallPart<'_>) -> String {
    chunk(
        Delta {
            tool_calls: Some([part]),
            ..Delta::default()
        },
        None,
    )
}

fn chunk(delta: Delta<'_>, finish_reason: Option<&'static str>) -> String {
    write(
        &[Choice {
            index: 0,
            delta,
            finish_reason,
        }],
        None,
    )
}

fn write(choices: &[Choice<'_>], usage: Option<UsageField>) -> String {
    let chunk = Chunk {
        object: "chat.completion.chunk",
        model: MODEL,
        demo: true,
        choices,
        usage,
    };
    // Plain fields and string keys: there is nothing in here that JSON could not hold.
    serde_json::to_string(&chunk).unwrap_or_default()
}
