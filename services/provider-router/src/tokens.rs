//! About how many tokens something is, before anybody has counted.

use nexus_contracts::chat::{ChatMessage, ToolSpec};

/// Bytes of one token, on average over English text: what `OpenAI` names as a rule of thumb.
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

/// Of a prompt.
#[must_use]
pub fn of_prompt(messages: &[ChatMessage], tools: &[ToolSpec]) -> u64 {
    let said: u64 = messages.iter().map(of_message).sum();
    let offered = tools.iter().map(|tool| {
        let schema = tool.parameters.to_string().len();
        of_len(tool.name.len() + tool.description.len() + schema)
    });
    said.saturating_add(offered.sum())
}

fn of_message(message: &ChatMessage) -> u64 {
    let calls = message.tool_calls.iter();
    let calls: usize = calls
        .map(|call| call.name.len() + call.arguments.len())
        .sum();
    let images = PER_IMAGE.saturating_mul(message.images.len() as u64);
    PER_MESSAGE + of_len(message.content.len() + calls) + images
}

fn of_len(bytes: usize) -> u64 {
    of_bytes(u64::try_from(bytes).unwrap_or(u64::MAX))
}
