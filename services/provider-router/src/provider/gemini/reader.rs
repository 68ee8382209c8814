//! Puts the chunks of a `streamGenerateContent` answer together.
//!
//! Every chunk is a whole `GenerateContentResponse` that holds what is new. Without `alt=sse` the
//! same chunks come as one list, and a server that does not stream sends one of them.

use std::collections::BTreeSet;

use nexus_contracts::Extra;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, Usage};
use serde_json::{Map, Value};

use super::{PARTS, SIGNATURES, says_nothing};
use crate::assembler::{
    Answer, MAX_ANSWER_BYTES, MAX_STREAM_BYTES, WireError, finish_reason, reported,
};
use crate::provider::dialect::Reader;

/// An answer of Gemini in the making.
#[derive(Debug, Default)]
pub struct GeminiReader {
    seed: String,
    text: String,
    reasoning: String,
    calls: Vec<ToolCall>,
    ids: BTreeSet<String>,
    signatures: Map<String, Value>,
    parts: Vec<Value>,
    finish: Option<FinishReason>,
    usage: Usage,
    model: Option<String>,
    metadata: Extra,
    /// Bytes of the calls and of the parts that are kept as they came.
    carried: usize,
    bytes: usize,
}

impl GeminiReader {
    /// An empty answer. `seed` names tool calls to which Gemini gives no id, as before Gemini 3.
    #[must_use]
    pub fn new(seed: impl Into<String>) -> Self {
        Self {
            seed: seed.into(),
            ..Self::default()
        }
    }

    fn take_chunk(&mut self, chunk: Value) -> Result<(), WireError> {
        let Value::Object(chunk) = chunk else {
            let what = "neither an object nor a list of objects";
            return Err(WireError::NotJson(what.to_owned()));
        };
        for (name, value) in chunk {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("error", error) => return Err(reported(&error)),
                ("candidates", Value::Array(candidates)) => {
                    for candidate in candidates {
                        self.take_candidate(candidate)?;
                    }
                }
                ("usageMetadata", Value::Object(counts)) => self.take_usage(counts),
                ("modelVersion", Value::String(model)) => self.model = Some(model),
                ("promptFeedback", feedback) => self.take_feedback(name, feedback),
                (_, value) => self.keep(name, value),
            }
        }
        Ok(())
    }

    /// A prompt that is blocked gets no candidate at all: the filter's word is the whole answer.
    fn take_feedback(&mut self, name: String, feedback: Value) {
        if feedback.get("blockReason").is_some_and(Value::is_string) {
            self.finish = Some(FinishReason::ContentFilter);
        }
        self.keep(name, feedback);
    }

    /// Only one answer is ever asked for, so only the first counts.
    fn take_candidate(&mut self, candidate: Value) -> Result<(), WireError> {
        let Value::Object(mut candidate) = candidate else {
            return Ok(());
        };
        let index = candidate.remove("index").and_then(|index| index.as_u64());
        if index.unwrap_or(0) != 0 {
            return Ok(());
        }
        for (name, value) in candidate {
            match (name.as_str(), value) {
                ("content", content) => self.take_content(content)?,
                ("finishReason", Value::String(reason)) => self.take_reason(name, reason),
                (_, value) => self.keep(name, value),
            }
        }
        Ok(())
    }

    fn take_content(&mut self, mut content: Value) -> Result<(), WireError> {
        let parts = content.get_mut("parts").map(Value::take);
        let Some(Value::Array(parts)) = parts else {
            return Ok(());
        };
        for part in parts {
            if let Value::Object(part) = part {
                self.take_part(part)?;
            }
        }
        Ok(())
    }

    fn take_part(&mut self, mut part: Map<String, Value>) -> Result<(), WireError> {
        let signature = part.get("thoughtSignature").cloned();
        if let Some(Value::Object(call)) = part.remove("functionCall") {
            let id = self.take_call(call)?;
            self.sign(id, signature);
        } else if let Some(Value::String(text)) = part.remove("text") {
            let thought = part.get("thought") == Some(&Value::Bool(true));
            let said = if thought {
                &mut self.reasoning
            } else {
                &mut self.text
            };
            said.push_str(&text);
            // The one of a text often comes last, on a part whose text is empty.
            self.sign(String::new(), signature);
        } else if part.keys().all(|name| name.starts_with("thought")) {
            self.sign(String::new(), signature);
        } else {
            let part = Value::Object(part);
            self.carried = self.carried.saturating_add(part.to_string().len());
            self.parts.push(part);
        }
        Ok(())
    }

    /// Takes a call, which always comes whole; returns its id.
    fn take_call(&mut self, mut call: Map<String, Value>) -> Result<String, WireError> {
        let name = word(&mut call, "name").ok_or(WireError::NamelessCall)?;
        let arguments = match call.remove("args") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(args) => args.to_string(),
        };
        // An id that comes twice could not say whose result it is.
        let given = word(&mut call, "id").filter(|id| !self.ids.contains(id));
        let id = given.unwrap_or_else(|| format!("call_{}_{}", self.seed, self.calls.len()));
        self.ids.insert(id.clone());
        let bytes = id.len() + name.len() + arguments.len();
        self.carried = self.carried.saturating_add(bytes);
        self.calls.push(ToolCall {
            id: id.clone(),
            name,
            arguments,
        });
        Ok(id)
    }

    fn sign(&mut self, id: String, signature: Option<Value>) {
        if let Some(Value::String(signature)) = signature
            && !signature.is_empty()
        {
            self.signatures.insert(id, Value::String(signature));
        }
    }

    /// Where there is no word of ours for the reason, Google's is kept.
    fn take_reason(&mut self, name: String, reason: String) {
        let finish = reason_of(&reason);
        if !matches!(finish, FinishReason::Stop | FinishReason::Length) {
            self.metadata.insert(name, Value::String(reason));
        }
        self.finish = Some(finish);
    }

    /// Counts are of everything so far, so the last ones are right. The prompt's count has what was
    /// cached in it, but not what Google's own tools told the model; the answer's count does not
    /// have the thoughts. All four are paid for and add up to the total.
    fn take_usage(&mut self, counts: Map<String, Value>) {
        let count = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.usage = Usage {
            cached_input_tokens: count("cachedContentTokenCount"),
            reasoning_tokens: count("thoughtsTokenCount"),
            ..Usage::of(
                count("promptTokenCount").saturating_add(count("toolUsePromptTokenCount")),
                count("candidatesTokenCount").saturating_add(count("thoughtsTokenCount")),
            )
        };
        let told = [
            "promptTokenCount",
            "candidatesTokenCount",
            "totalTokenCount",
        ];
        let rest = counts
            .into_iter()
            .filter(|(name, value)| !told.contains(&name.as_str()) && !value.is_null());
        self.keep("usage".to_owned(), Value::Object(rest.collect()));
    }

    /// Keeps what else is said. A later chunk may say it again; one that only has an empty place
    /// for it takes nothing back.
    fn keep(&mut self, name: String, value: Value) {
        if !says_nothing(&value) {
            self.metadata.insert(name, value);
        }
    }
}

impl Reader for GeminiReader {
    fn push(&mut self, data: &str) -> Result<String, WireError> {
        let before = self.text.len();
        self.bytes = self.bytes.saturating_add(data.len());
        if self.bytes > MAX_STREAM_BYTES {
            return Err(WireError::TooLong);
        }
        let data: Value =
            serde_json::from_str(data).map_err(|error| WireError::NotJson(error.to_string()))?;
        match data {
            Value::Array(chunks) => {
                for chunk in chunks {
                    self.take_chunk(chunk)?;
                }
            }
            chunk => self.take_chunk(chunk)?,
        }
        if self.text.len().saturating_add(self.carried) > MAX_ANSWER_BYTES {
            return Err(WireError::TooLong);
        }
        Ok(self.text.get(before..).unwrap_or_default().to_owned())
    }

    /// Gemini never says so: the connection closes.
    fn is_done(&self) -> bool {
        false
    }

    fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    fn finish(self: Box<Self>) -> Result<Answer, WireError> {
        let Self {
            text,
            reasoning,
            calls: tool_calls,
            signatures,
            parts,
            finish,
            usage,
            model,
            metadata,
            ..
        } = *self;
        let told = finish.ok_or(WireError::Unfinished)?;
        let finish_reason = finish_reason(Some(told), &tool_calls);
        let kept = [
            ("thoughts", Value::String(reasoning)),
            (SIGNATURES, Value::Object(signatures)),
            (PARTS, Value::Array(parts)),
        ];
        let extra: Extra = kept
            .into_iter()
            .filter(|(_, value)| !says_nothing(value))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let message = ChatMessage {
            tool_calls,
            extra,
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

/// Takes a text that is not empty.
fn word(fields: &mut Map<String, Value>, name: &str) -> Option<String> {
    match fields.remove(name) {
        Some(Value::String(word)) if !word.is_empty() => Some(word),
        _ => None,
    }
}

/// `MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL` and whatever Google adds are neither an end
/// nor a filter.
fn reason_of(word: &str) -> FinishReason {
    match word {
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    }
}

#[cfg(test)]
mod tests;
