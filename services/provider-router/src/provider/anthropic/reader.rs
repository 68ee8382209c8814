//! Puts the events of a Messages API stream, or a whole answer, together.
//!
//! Reads the raw JSON, so that what it does not know survives. Of the message that comes out,
//! `extra` has
//! - `thinking_blocks`: what the model thought, signed, to be sent back unchanged while it works
//!   with tools; `thoughts` is the readable part of it, for people: no provider
//!   reads that name;
//! - `citations`: the sources of its text;
//! - `blocks`: all blocks as they came, where the parts above do not tell the whole: a kind that
//!   is not known here, or thinking between the other blocks, whose place the API checks too.

use std::collections::BTreeMap;

use nexus_contracts::Extra;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, Usage};
use serde_json::{Map, Value};

use super::blocks::{Block, Kind};
use crate::assembler::{
    Answer, MAX_ANSWER_BYTES, MAX_STREAM_BYTES, WireError, finish_reason, reported,
};
use crate::provider::dialect::Reader;

/// An answer in the making.
#[derive(Debug, Default)]
pub struct AnthropicReader {
    seed: String,
    text: String,
    blocks: Vec<Block>,
    /// The newest block of every index: some servers number all of them alike.
    places: BTreeMap<u64, usize>,
    stop: Option<FinishReason>,
    done: bool,
    counts: Map<String, Value>,
    model: Option<String>,
    metadata: Extra,
    arguments: usize,
    bytes: usize,
}

impl AnthropicReader {
    /// An empty answer. `seed` names tool calls to which the provider gives no id.
    #[must_use]
    pub fn new(seed: impl Into<String>) -> Self {
        Self {
            seed: seed.into(),
            ..Self::default()
        }
    }

    fn take(&mut self, mut event: Map<String, Value>) -> Result<String, WireError> {
        let kind = match event.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            _ => String::new(),
        };
        let mut text = String::new();
        match kind.as_str() {
            "message_start" => text = self.take_message(object(&mut event, "message")),
            // What a server sends that does not stream.
            "message" => {
                text = self.take_message(event);
                self.done = true;
            }
            "content_block_start" => {
                let fields = object(&mut event, "content_block");
                text = self.open(index(&event), fields);
            }
            "content_block_delta" => {
                let piece = object(&mut event, "delta");
                text = self.grow(index(&event), piece);
            }
            "content_block_stop" => self.close(index(&event)),
            "message_delta" => {
                let delta = object(&mut event, "delta");
                self.take_fields(delta);
                self.take_fields(event);
            }
            "message_stop" => self.done = true,
            "error" => return Err(fault(event)),
            "" if event.contains_key("error") => return Err(fault(event)),
            // `ping`, and what the interface promises to add one day.
            _ => {}
        }
        Ok(text)
    }

    fn take_message(&mut self, mut message: Map<String, Value>) -> String {
        let content = message.remove("content");
        self.take_fields(message);
        let mut text = String::new();
        if let Some(Value::Array(blocks)) = content {
            let count = blocks.len();
            for (place, block) in blocks.into_iter().enumerate() {
                let index = u64::try_from(place).ok();
                if let Value::Object(fields) = block {
                    text.push_str(&self.open(index, fields));
                }
                // The last one of an answer that ran into the limit may be half a call.
                if place + 1 < count || self.stop != Some(FinishReason::Length) {
                    self.close(index);
                }
            }
        }
        text
    }

    fn take_fields(&mut self, fields: Map<String, Value>) {
        for (name, value) in fields {
            match (name.as_str(), value) {
                (_, Value::Null) | ("id" | "type" | "role", _) => {}
                ("model", Value::String(model)) => self.model = Some(model),
                // Totals of the whole message, not additions: the newer one counts.
                ("usage", Value::Object(usage)) => {
                    let counts = usage.into_iter().filter(|(_, count)| !count.is_null());
                    self.counts.extend(counts);
                }
                ("stop_reason", Value::String(word)) => self.take_reason(word),
                (_, value) => {
                    self.metadata.insert(name, value);
                }
            }
        }
    }

    fn take_reason(&mut self, word: String) {
        let reason = reason_of(&word);
        // The one word that is left of these says less than they do.
        let coarse = matches!(
            word.as_str(),
            "pause_turn" | "model_context_window_exceeded"
        );
        if coarse || reason == FinishReason::Other {
            self.metadata.insert("stop_reason".to_owned(), word.into());
        }
        self.stop = Some(reason);
    }

    fn open(&mut self, index: Option<u64>, fields: Map<String, Value>) -> String {
        let block = Block::new(fields);
        let text = block.text().to_owned();
        if block.kind() == Kind::Call {
            let more = block.arguments().len();
            self.arguments = self.arguments.saturating_add(more);
        }
        if let Some(index) = index {
            self.places.insert(index, self.blocks.len());
        }
        self.blocks.push(block);
        text
    }

    fn grow(&mut self, index: Option<u64>, piece: Map<String, Value>) -> String {
        let json = piece.get("partial_json").and_then(Value::as_str);
        let more = json.map_or(0, str::len);
        self.arguments = self.arguments.saturating_add(more);
        if self.block(index).is_none()
            && let Some(fields) = unopened(&piece)
        {
            self.open(index, fields);
        }
        let block = self.block(index);
        block.map(|block| block.grow(piece)).unwrap_or_default()
    }

    fn close(&mut self, index: Option<u64>) {
        if let Some(block) = self.block(index) {
            block.close();
        }
    }

    /// The block of this index, the newest one without an index.
    fn block(&mut self, index: Option<u64>) -> Option<&mut Block> {
        let place = match index {
            Some(index) => self.places.get(&index).copied(),
            None => self.blocks.len().checked_sub(1),
        };
        self.blocks.get_mut(place?)
    }

    /// Forgets calls that were cut off.
    ///
    /// At the token limit the API leaves them open, and half of the arguments, or none of them, are
    /// not what the model meant. Where it stopped to have tools called, an open one is only a
    /// server's omission.
    fn drop_cut_calls(&mut self) {
        if self.stop == Some(FinishReason::ToolCalls) {
            return;
        }
        self.blocks
            .retain(|block| block.is_closed() || block.kind() <= Kind::Text);
    }

    fn calls(&self) -> Result<Vec<ToolCall>, WireError> {
        let calls = self
            .blocks
            .iter()
            .filter(|block| block.kind() == Kind::Call);
        calls
            .enumerate()
            .map(|(place, block)| block.call(&self.seed, place))
            .collect()
    }
}

impl Reader for AnthropicReader {
    fn push(&mut self, data: &str) -> Result<String, WireError> {
        if self.done {
            return Ok(String::new());
        }
        self.bytes = self.bytes.saturating_add(data.len());
        let event: Map<String, Value> =
            serde_json::from_str(data).map_err(|error| WireError::NotJson(error.to_string()))?;
        let text = self.take(event)?;
        self.text.push_str(&text);
        let answer = self.text.len().saturating_add(self.arguments);
        if answer > MAX_ANSWER_BYTES || self.bytes > MAX_STREAM_BYTES {
            return Err(WireError::TooLong);
        }
        Ok(text)
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_finished(&self) -> bool {
        self.done || self.stop.is_some()
    }

    fn finish(mut self: Box<Self>) -> Result<Answer, WireError> {
        if !self.is_finished() {
            return Err(WireError::Unfinished);
        }
        self.drop_cut_calls();
        let tool_calls = self.calls()?;
        if self.stop.is_none() && self.text.is_empty() && tool_calls.is_empty() {
            return Err(WireError::Unfinished);
        }
        let finish_reason = finish_reason(self.stop, &tool_calls);
        let Self {
            text,
            blocks,
            counts,
            model,
            mut metadata,
            ..
        } = *self;
        let (usage, rest) = usage_of(counts);
        if !rest.is_empty() {
            metadata.insert("usage".to_owned(), Value::Object(rest));
        }
        let message = ChatMessage {
            tool_calls,
            extra: extra_of(blocks),
            ..ChatMessage::text(Role::Assistant, text)
        };
        Ok(Answer {
            message,
            finish_reason,
            usage,
            model,
            metadata,
        })
    }
}

fn reason_of(word: &str) -> FinishReason {
    match word {
        // A paused turn is over for us: nobody but the provider runs the tools it waits for.
        "end_turn" | "stop_sequence" | "pause_turn" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    }
}

/// Tokens, and what else the provider counts.
///
/// Its `input_tokens` are only those that the prompt cache neither gave nor took; ours are all
/// tokens of the prompt, which its reference gives as the sum of the three.
fn usage_of(mut counts: Map<String, Value>) -> (Usage, Map<String, Value>) {
    const PROMPT: [&str; 3] = [
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    ];
    let count = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or(0);
    let prompt = PROMPT.map(count).into_iter();
    let input_tokens = prompt.fold(0, u64::saturating_add);
    let usage = Usage {
        cached_input_tokens: count("cache_read_input_tokens"),
        ..Usage::of(input_tokens, count("output_tokens"))
    };
    counts.remove("input_tokens");
    counts.remove("output_tokens");
    (usage, counts)
}

/// What the message keeps beside text and calls.
fn extra_of(blocks: Vec<Block>) -> Extra {
    let mut extra = Extra::new();
    let thinking = blocks.iter().filter(|block| block.kind() == Kind::Thinking);
    let thinking: Vec<Value> = thinking.map(Block::to_value).collect();
    let thoughts = thoughts_of(&blocks);
    if !thoughts.is_empty() {
        extra.insert("thoughts".to_owned(), thoughts.into());
    }
    let citations = blocks.iter().flat_map(Block::citations);
    let citations: Vec<Value> = citations.cloned().collect();
    if !citations.is_empty() {
        extra.insert("citations".to_owned(), citations.into());
    }
    let strange = blocks.iter().any(|block| block.kind() == Kind::Other);
    let mixed = !thinking.is_empty() && !blocks.is_sorted_by_key(Block::kind);
    if strange || mixed {
        let blocks = blocks.into_iter().map(Block::into_value).collect();
        extra.insert("blocks".to_owned(), blocks);
    }
    if !thinking.is_empty() {
        extra.insert("thinking_blocks".to_owned(), thinking.into());
    }
    extra
}

/// What can be read of the thinking.
fn thoughts_of(blocks: &[Block]) -> String {
    let thoughts = blocks.iter().map(Block::thought);
    let thoughts: Vec<&str> = thoughts.filter(|thought| !thought.is_empty()).collect();
    thoughts.join("\n\n")
}

/// The block that a piece belongs to, where the server opened none: what it says must not get lost.
fn unopened(piece: &Map<String, Value>) -> Option<Map<String, Value>> {
    let kind = match piece.get("type").and_then(Value::as_str)? {
        "text_delta" => "text",
        "thinking_delta" | "signature_delta" => "thinking",
        "input_json_delta" => "tool_use",
        _ => return None,
    };
    Some(Map::from_iter([("type".to_owned(), kind.into())]))
}

fn fault(mut event: Map<String, Value>) -> WireError {
    match event.remove("error") {
        Some(error) => reported(&error),
        None => reported(&Value::Object(event)),
    }
}

fn object(event: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match event.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

fn index(event: &Map<String, Value>) -> Option<u64> {
    event.get("index").and_then(Value::as_u64)
}

#[cfg(test)]
mod tests;
