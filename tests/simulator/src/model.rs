//! A model that does what the last message says, and answers with a hash of what it was told: a
//! history that lost or doubled something gets another answer.

use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, Usage};
use nexus_contracts::events::{InferenceCompleted, InferenceRequested, Purpose};
use nexus_contracts::{Extra, MessageId};

use crate::asked::{marker, markers};
use crate::chance::name;

/// What the model says.
pub(crate) fn answer(command: &MessageId, asked: &InferenceRequested) -> InferenceCompleted {
    let message = match asked.purpose {
        Purpose::Summary => summary(&asked.messages),
        Purpose::Answer => said(command, asked),
    };
    let finish_reason = if message.tool_calls.is_empty() {
        FinishReason::Stop
    } else {
        FinishReason::ToolCalls
    };
    InferenceCompleted {
        message,
        finish_reason,
        usage: Usage::of(10, 5),
        provider: "simulated".to_owned(),
        model: "simulated-1".to_owned(),
        duration_ms: 0,
        metadata: Extra::new(),
        extra: Extra::new(),
    }
}

/// A hash of everything the model was told.
fn hash(messages: &[ChatMessage]) -> u64 {
    messages.iter().fold(0, |hash, message| {
        name(&message.content) ^ hash.rotate_left(7) ^ message.tool_calls.len() as u64
    })
}

fn summary(messages: &[ChatMessage]) -> ChatMessage {
    let words = messages
        .iter()
        .flat_map(|message| markers(&message.content));
    let words: Vec<String> = words.take(3).map(marker).collect();
    let words = words.join(" ");
    let text = format!(
        "Title: {words}\n\nThey said {words} ({:x}).",
        hash(messages)
    );
    ChatMessage::text(Role::Assistant, text)
}

fn said(command: &MessageId, asked: &InferenceRequested) -> ChatMessage {
    let messages = &asked.messages;
    let question = messages
        .iter()
        .rposition(|message| message.role == Role::User);
    let (before, after) = messages.split_at(question.map_or(0, |at| at + 1));
    let text = before.last().map_or("", |message| message.content.as_str());
    let words = markers(text).next().map(marker).unwrap_or_default();
    let steps = after
        .iter()
        .filter(|message| !message.tool_calls.is_empty());
    let step = steps.count();
    let script = text.split_whitespace().nth(1).unwrap_or("-");
    let tools = script.split('/').nth(step).unwrap_or("-");
    if tools != "-" && !asked.tools.is_empty() {
        return calling(step, tools, &words);
    }
    // Several answers to one question do not all say the same.
    let view = if asked.quiet && name(command.as_str()).is_multiple_of(3) {
        "no"
    } else {
        "yes"
    };
    let text = format!("{view} {words} ({:x})", hash(messages));
    ChatMessage::text(Role::Assistant, text)
}

fn calling(step: usize, tools: &str, words: &str) -> ChatMessage {
    let calls = tools.split('+').enumerate().map(|(at, tool)| {
        let arguments = if tool.ends_with('?') {
            "{}".to_owned()
        } else {
            format!(r#"{{"what":"{words}"}}"#)
        };
        ToolCall {
            id: format!("call-{step}-{at}"),
            name: tool.trim_end_matches('?').to_owned(),
            arguments,
        }
    });
    ChatMessage {
        tool_calls: calls.collect(),
        ..ChatMessage::text(Role::Assistant, "")
    }
}
