//! About how many tokens something is, before anybody has counted.

use crate::chat::{ChatMessage, ToolSpec};

/// Bytes of one token, on average over English text: what `OpenAI` names as a rule of thumb. Other
/// scripts have fewer bytes a token, so a budget should leave room.
const BYTES: u64 = 4;

/// Tokens that say who speaks, for each message.
const PER_MESSAGE: u64 = 4;

/// A picture of about a thousand pixels a side: 765 at `OpenAI` (high detail), 1,600 at Anthropic.
const PER_IMAGE: u64 = 1_200;

/// Of a text of so many bytes.
#[must_use]
pub const fn of_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES)
}

/// Of a text.
#[must_use]
pub const fn of_text(text: &str) -> u64 {
    of_bytes(text.len() as u64)
}

/// Of a message.
#[must_use]
pub fn of_message(message: &ChatMessage) -> u64 {
    let calls = message.tool_calls.iter();
    let calls = calls.map(|call| of_text(&call.name) + of_text(&call.arguments));
    let images = PER_IMAGE.saturating_mul(message.images.len() as u64);
    PER_MESSAGE + of_text(&message.content) + calls.sum::<u64>() + images
}

/// Of the description of a tool.
#[must_use]
pub fn of_tool(tool: &ToolSpec) -> u64 {
    of_text(&tool.name) + of_text(&tool.description) + of_text(&tool.parameters.to_string())
}

/// Of a prompt.
#[must_use]
pub fn of_prompt(messages: &[ChatMessage], tools: &[ToolSpec]) -> u64 {
    let said: u64 = messages.iter().map(of_message).sum();
    said.saturating_add(tools.iter().map(of_tool).sum())
}
