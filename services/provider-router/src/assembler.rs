//! Puts the chunks of a chat completions stream together into one answer.
//!
//! Pure: text in, answer out. Reads the raw JSON, so that what it does not know survives: unknown
//! fields of a message stay in its `extra`, unknown fields of the answer in its `metadata`. Every
//! provider whose wire speaks this dialect is read here, the demo model too.

pub mod calls;
pub mod stream;

use nexus_contracts::Extra;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, Usage};
use serde_json::{Map, Value};

use crate::provider::dialect::Reader;
use crate::sse::SseError;
use calls::CallParts;

pub use stream::AnswerStream;

/// Longest answer, in bytes of text and arguments together.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Most bytes of all chunks of one answer together.
pub const MAX_STREAM_BYTES: usize = 64 * 1024 * 1024;

/// Why chunks do not make an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes are not a stream of events.
    #[error(transparent)]
    Sse(#[from] SseError),
    /// A chunk is not a JSON object.
    #[error("a chunk of the answer is not a JSON object: {0}")]
    NotJson(String),
    /// The provider reported an error instead of going on.
    #[error("the provider reported: {message}")]
    Reported {
        /// Its code or type, as it wrote it; empty when it gave none.
        code: String,
        /// Its words.
        message: String,
    },
    /// The stream closed before the model said that it was done.
    #[error("the answer ended before the model was done")]
    Unfinished,
    /// More than [`MAX_ANSWER_BYTES`], or more than [`MAX_STREAM_BYTES`] of chunks.
    #[error("the answer is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    /// Vectors were asked for, and these are none.
    #[error("the answer has no usable vectors: {0}")]
    NoVectors(String),
    /// A tool call that does not say which tool.
    #[error("the model asked for a tool without naming it")]
    NamelessCall,
}

/// What the model said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The text and the tools it asks for.
    pub message: ChatMessage,
    /// Why it stopped.
    pub finish_reason: FinishReason,
    /// Tokens used; zeros when the provider did not say.
    pub usage: Usage,
    /// The model, as the provider names it.
    pub model: Option<String>,
    /// What else the provider says about the answer.
    pub metadata: Extra,
}

/// An answer in the making.
#[derive(Debug, Default)]
pub struct Assembler {
    seed: String,
    text: String,
    calls: CallParts,
    message_extra: Extra,
    finish: Option<FinishReason>,
    done: bool,
    usage: Usage,
    model: Option<String>,
    metadata: Extra,
    bytes: usize,
}

impl Assembler {
    /// An empty answer. `seed` names tool calls to which the provider gives no id.
    #[must_use]
    pub fn new(seed: impl Into<String>) -> Self {
        Self {
            seed: seed.into(),
            ..Self::default()
        }
    }

    /// Takes the data of one event; returns the text it adds.
    ///
    /// # Errors
    /// [`WireError`]; the answer is lost then.
    pub fn push(&mut self, data: &str) -> Result<&str, WireError> {
        let before = self.text.len();
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok("");
        }
        self.bytes = self.bytes.saturating_add(data.len());
        let chunk: Map<String, Value> =
            serde_json::from_str(data).map_err(|error| WireError::NotJson(error.to_string()))?;
        self.take_chunk(chunk)?;
        let answer = self.text.len() + self.calls.bytes();
        let too_long = answer > MAX_ANSWER_BYTES || self.bytes > MAX_STREAM_BYTES;
        if too_long || self.calls.are_too_many() {
            return Err(WireError::TooLong);
        }
        Ok(self.text.get(before..).unwrap_or_default())
    }

    /// Whether the provider said that nothing follows.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the model was done; token counts may still follow.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.done || self.finish.is_some()
    }

    /// The stream ended: the answer.
    ///
    /// # Errors
    /// [`WireError::Unfinished`] when it ended too early, [`WireError::NamelessCall`].
    pub fn finish(self) -> Result<Answer, WireError> {
        let silent = self.text.is_empty() && self.calls.is_empty();
        if self.finish.is_none() && (!self.done || silent) {
            return Err(WireError::Unfinished);
        }
        let tool_calls = self.calls.finish(&self.seed)?;
        let finish_reason = finish_reason(self.finish, &tool_calls);
        let message = ChatMessage {
            tool_calls,
            extra: self.message_extra,
            ..ChatMessage::text(Role::Assistant, self.text)
        };
        let Self {
            usage,
            model,
            metadata,
            ..
        } = self;
        Ok(Answer {
            message,
            finish_reason,
            usage,
            model,
            metadata,
        })
    }

    fn take_chunk(&mut self, chunk: Map<String, Value>) -> Result<(), WireError> {
        // An error without the usual object around it.
        let is_error = chunk.get("type").and_then(Value::as_str) == Some("error");
        if is_error || (chunk.contains_key("code") && chunk.contains_key("message")) {
            return Err(reported(&chunk.into()));
        }
        for (name, value) in chunk {
            match (name.as_str(), value) {
                (_, Value::Null) | ("id" | "object" | "created", _) => {}
                ("error", error) => return Err(reported(&error)),
                ("choices", Value::Array(choices)) => {
                    for choice in choices {
                        self.take_choice(choice)?;
                    }
                }
                ("model", Value::String(model)) => self.model = Some(model),
                ("usage", Value::Object(usage)) => self.take_usage(usage),
                (_, value) => {
                    self.metadata.insert(name, value);
                }
            }
        }
        Ok(())
    }

    /// Only one answer is ever asked for, so only the first counts.
    fn take_choice(&mut self, choice: Value) -> Result<(), WireError> {
        let Value::Object(mut choice) = choice else {
            return Ok(());
        };
        if choice.get("index").and_then(Value::as_u64).unwrap_or(0) != 0 {
            return Ok(());
        }
        if let Some(error) = choice.remove("error").filter(|error| !error.is_null()) {
            return Err(reported(&error));
        }
        if let Some(reason) = choice.remove("finish_reason").filter(Value::is_string) {
            self.finish = Some(serde_json::from_value(reason).unwrap_or(FinishReason::Other));
        }
        // `message` is what a server sends that does not stream.
        let fields = |said: Option<Value>| match said {
            Some(Value::Object(fields)) => Some(fields),
            _ => None,
        };
        let delta = fields(choice.remove("delta")).filter(|delta| !says_nothing(delta));
        // Some put an empty `delta` beside the whole; others repeat the whole in every piece.
        let silent = self.text.is_empty() && self.calls.is_empty();
        let whole = || fields(choice.remove("message")).filter(|_| silent);
        if let Some(said) = delta.or_else(whole) {
            self.take_delta(said);
        }
        Ok(())
    }

    fn take_delta(&mut self, delta: Map<String, Value>) {
        for (name, value) in delta {
            match (name.as_str(), value) {
                (_, Value::Null) | ("role", _) => {}
                ("content", Value::String(text)) => self.text.push_str(&text),
                ("content", Value::Array(parts)) => {
                    let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
                    self.text.extend(texts);
                }
                ("tool_calls", Value::Array(parts)) => {
                    for part in parts {
                        self.calls.push(part);
                    }
                }
                (_, value) => join(&mut self.message_extra, name, value),
            }
        }
    }

    /// What the counts consist of; kept as it came, too.
    fn take_detail(&mut self, name: &str, value: &Value) {
        let part = |part: &str| value.get(part).and_then(Value::as_u64);
        match name {
            "prompt_tokens_details" | "input_tokens_details" => {
                self.usage.cached_input_tokens = part("cached_tokens").unwrap_or_default();
            }
            "completion_tokens_details" | "output_tokens_details" => {
                self.usage.reasoning_tokens = part("reasoning_tokens").unwrap_or_default();
            }
            _ => {}
        }
    }

    fn take_usage(&mut self, usage: Map<String, Value>) {
        let mut rest = Map::new();
        for (name, value) in usage {
            match (name.as_str(), value.as_u64()) {
                ("prompt_tokens" | "input_tokens", Some(count)) => self.usage.input_tokens = count,
                ("completion_tokens" | "output_tokens", Some(count)) => {
                    self.usage.output_tokens = count;
                }
                ("total_tokens", _) => {}
                _ if value.is_null() => {}
                _ => {
                    self.take_detail(&name, &value);
                    rest.insert(name, value);
                }
            }
        }
        if !rest.is_empty() {
            self.metadata
                .insert("usage".to_owned(), Value::Object(rest));
        }
    }
}

impl Reader for Assembler {
    fn push(&mut self, data: &str) -> Result<String, WireError> {
        Self::push(self, data).map(str::to_owned)
    }

    fn is_done(&self) -> bool {
        Self::is_done(self)
    }

    fn is_finished(&self) -> bool {
        Self::is_finished(self)
    }

    fn finish(self: Box<Self>) -> Result<Answer, WireError> {
        Self::finish(*self)
    }
}

/// Why an answer with these calls ended. Some servers say `stop` beside tool calls, some have no word
/// for them, some say nothing at all.
#[must_use]
pub const fn finish_reason(told: Option<FinishReason>, calls: &[ToolCall]) -> FinishReason {
    match told {
        None | Some(FinishReason::Stop) if !calls.is_empty() => FinishReason::ToolCalls,
        None => FinishReason::Stop,
        Some(reason) => reason,
    }
}

/// Whether a piece adds nothing.
fn says_nothing(delta: &Map<String, Value>) -> bool {
    delta.iter().all(|(name, value)| match value {
        Value::Null => true,
        Value::String(text) => name == "role" || text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    })
}

/// Adds a piece of an unknown field to what came before: texts and lists grow, the rest is replaced.
fn join(fields: &mut Extra, name: String, piece: Value) {
    match (fields.get_mut(&name), piece) {
        (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
        (_, piece) => {
            fields.insert(name, piece);
        }
    }
}

/// Reads an error object: `{message, type, code, status}`, or a plain text.
#[must_use]
pub fn reported(error: &Value) -> WireError {
    let word = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let field = |name: &str| error.get(name).and_then(word);
    WireError::Reported {
        code: field("code")
            .or_else(|| field("type"))
            .or_else(|| field("status"))
            .unwrap_or_default(),
        message: field("message")
            .or_else(|| word(error))
            .unwrap_or_else(|| error.to_string()),
    }
}

/// The first characters, for an error that a person reads.
#[must_use]
pub fn excerpt(text: &str) -> String {
    const SHOWN: usize = 400;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
