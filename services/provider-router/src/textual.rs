//! Tools for models that have no interface for them: offered in the instructions, asked for in the text.
//! Pure.
//!
//! One format in all directions, that of Hermes and Qwen, which many models have seen in training and
//! [`crate::toolcalls`] reads without doubt:
//!
//! ```text
//! <tools>            one tool a line: {"type": "function", "function": {…}}
//! <tool_call>        {"name": "…", "arguments": {…}}
//! <tool_response>    {"name": "…", "content": "…"}
//! ```
//!
//! What stands between the marks is JSON in which no mark can stand: descriptions of tools, arguments and
//! results come from outside, and none of them can end its own mark or begin another one.

mod answer;
mod marks;
mod prompt;

use nexus_contracts::chat::{ChatMessage, Role, ToolSpec};
use nexus_contracts::events::ModelParameters;

use crate::provider::ChatRequest;

pub use answer::{Read, Refused, read};
pub use prompt::messages;

/// What an answer says of the calls that were read in its text; the name of a field of its `metadata`.
pub const NOTE: &str = "text_calls";

/// What only means something beside tools; servers refuse it without.
const BESIDE_TOOLS: [&str; 2] = ["tool_choice", "parallel_tool_calls"];

/// The tools a model may ask for: none where the question says so.
#[must_use]
pub fn offered(asked: &ChatRequest) -> &[ToolSpec] {
    let choice = asked.parameters.extra.get("tool_choice");
    if choice.and_then(serde_json::Value::as_str) == Some("none") {
        return &[];
    }
    &asked.tools
}

/// The same question for a model that knows nothing of tools.
#[must_use]
pub fn request(asked: &ChatRequest) -> ChatRequest {
    let ModelParameters {
        temperature,
        max_tokens,
        mut extra,
    } = asked.parameters.clone();
    extra.retain(|key, _| !BESIDE_TOOLS.contains(&key.as_str()));
    ChatRequest {
        id: asked.id.clone(),
        model: asked.model.clone(),
        messages: messages(&asked.messages, offered(asked)),
        tools: Vec::new(),
        parameters: ModelParameters {
            temperature,
            max_tokens,
            extra,
        },
        origin: asked.origin.clone(),
    }
}

/// The question once more, with what could not be read of the answer to it, and why.
#[must_use]
pub fn again(asked: &ChatRequest, refused: &Refused) -> ChatRequest {
    let mut request = asked.clone();
    let said = ChatMessage::text(Role::Assistant, &refused.said);
    let why = format!(
        "Your tool call was not made: {}. What you wrote before it was kept. Go on from there: write the \
         whole call again, or answer without one. Do not apologise.",
        refused.words
    );
    let why = ChatMessage::text(Role::User, why);
    request.messages.extend([said, why]);
    request
}

#[cfg(test)]
mod tests;
