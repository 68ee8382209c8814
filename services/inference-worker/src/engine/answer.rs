//! What is asked of a model that runs here, and what comes of it.

use std::time::Duration;

use nexus_contracts::chat::{ChatMessage, FinishReason, ToolSpec, Usage};
use nexus_contracts::events::ModelParameters;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// A name of this question, from which ids of tool calls are made.
    pub id: String,
    /// What was said, oldest first.
    pub messages: Vec<ChatMessage>,
    /// The tools the model may ask for.
    pub tools: Vec<ToolSpec>,
    /// Sampling.
    pub parameters: ModelParameters,
}

/// What the model said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The message, with the tools it asks for.
    pub message: ChatMessage,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens.
    pub usage: Usage,
    /// How long the engine worked on it.
    pub took: Duration,
    /// How long until the first text.
    pub first_text: Option<Duration>,
}

/// One vector for each text, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// The vectors.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens.
    pub usage: Usage,
    /// How long the engine worked on them.
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The question cannot be asked like this.
    #[error("{0}")]
    BadRequest(String),
    /// This model cannot do what is asked.
    #[error("{0}")]
    Unsupported(String),
    /// The engine failed; another try may work.
    #[error("{0}")]
    Failed(String),
}
