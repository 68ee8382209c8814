//! What an answer is found by: a hash of everything that shapes it.
//!
//! Every part goes in behind its name and its length, so that no two different questions are the same
//! bytes. Structs are taken apart field by field: a field that is added to the contract does not compile
//! until somebody has decided whether it shapes answers.

use std::fmt;
use std::sync::Arc;

use nexus_contracts::chat::{ChatMessage, Image, ToolCall, ToolSpec};
use nexus_contracts::events::{InferenceRequested, ModelParameters};
use nexus_contracts::{Extra, MessageId, OrgId};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cache::last_text;
use crate::plan::{Candidate, Plan};
use crate::registry::route::Strategy;

/// Of what this version makes of a question: another one finds nothing of what this one kept.
const VERSION: &str = "nexus answer cache 2";

/// Finds one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

/// What questions have in common that differ in nothing but the text of their last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope([u8; 32]);

/// What a question is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// It, to the letter.
    pub exact: Key,
    /// All but its last message, where that may be said otherwise.
    pub scope: Option<Scope>,
}

impl Key {
    /// The id its answer is kept under in the ledger.
    ///
    /// # Errors
    /// None is known: it is short, and nothing but letters and digits.
    pub fn id(&self) -> Result<MessageId, nexus_contracts::ContractError> {
        MessageId::new(format!("cache:{self}"))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Scope {
    /// Where the vectors of one model for the questions of this scope are: those of different models
    /// cannot be compared.
    #[must_use]
    pub fn room(&self, provider: &str, model: &str) -> Self {
        let mut hash = Hash::new("room");
        hash.part("scope", self.0);
        hash.part("provider", provider);
        hash.part("model", model);
        Self(hash.end())
    }
}

impl Keys {
    /// What this question of an organisation is found by, which goes to those of this plan.
    #[must_use]
    pub fn of(org: OrgId, asked: &InferenceRequested, plan: &Plan) -> Self {
        let mut hash = Hash::new("question");
        hash.part("org", org.0.as_bytes());
        hash.who(plan);
        hash.asked(asked);
        let scope = last_text(&asked.messages).map(|_| {
            let mut scope = hash.clone();
            scope.part("last", "may be said otherwise");
            Scope(scope.end())
        });
        if let Some(last) = asked.messages.last() {
            hash.part("last", &last.content);
        }
        Self {
            exact: Key(hash.end()),
            scope,
        }
    }
}

#[cfg(test)]
impl Key {
    pub(super) const fn test(byte: u8) -> Self {
        Self([byte; 32])
    }
}

#[cfg(test)]
impl Scope {
    pub(super) const fn test(byte: u8) -> Self {
        Self([byte; 32])
    }
}

/// A hash that is being made.
#[derive(Clone)]
struct Hash(Sha256);

impl Hash {
    fn new(domain: &str) -> Self {
        let mut hash = Self(Sha256::new());
        hash.part(VERSION, domain);
        hash
    }

    fn end(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    fn part(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        for bytes in [name.as_bytes(), bytes.as_ref()] {
            // Nothing in memory is longer than 2^64 bytes.
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.0.update(length.to_be_bytes());
            self.0.update(bytes);
        }
    }

    fn count(&mut self, name: &str, count: usize) {
        self.part(name, count.to_string());
    }

    fn some(&mut self, name: &str, text: Option<&str>) {
        self.count(name, text.iter().len());
        if let Some(text) = text {
            self.part(name, text);
        }
    }

    /// A word of the contract, as it is written there.
    fn word(&mut self, name: &str, word: &impl Serialize) {
        let word = serde_json::to_value(word).unwrap_or_default();
        self.value(name, &word);
    }

    /// Who may answer. Not in which state they are, nor what they cost: an edit of a price, a limit or
    /// a timeout leaves an answer what it is.
    fn who(&mut self, plan: &Plan) {
        self.some("route", plan.route.as_deref());
        let delegated = plan.delegated.as_ref();
        self.some("delegate", delegated.map(|one| one.to.as_str()));
        self.word("strategy", &plan.strategy);
        let mut all: Vec<&Candidate> = plan.candidates.iter().collect();
        // Where the order is the file's, with what was drawn for a conversation, the first answers: what
        // others say in its place is not kept. Otherwise the order is a matter of the moment, and any of
        // them will do.
        if plan.strategy == Strategy::Order {
            all.truncate(1);
        } else {
            let by = |one: &Candidate| [&one.configured.name, &one.model].map(Arc::clone);
            all.sort_by_cached_key(|one| by(one));
        }
        self.count("candidates", all.len());
        for candidate in all {
            self.part("name", candidate.configured.name.as_bytes());
            self.part("said", candidate.configured.answers.as_bytes());
            self.part("model", candidate.model.as_bytes());
            // In text the tools are another prompt, and the calls are read by us.
            self.word("tool use", &candidate.tool_use());
        }
    }

    /// All but the text of the last message.
    fn asked(&mut self, asked: &InferenceRequested) {
        let InferenceRequested {
            messages,
            tools,
            provider,
            model,
            parameters,
            // Who hears an answer, and whether an earlier one will do, leaves it what it is.
            quiet: _,
            cache: _,
            purpose,
            privacy,
            extra,
        } = asked;
        self.some("provider", provider.as_deref());
        self.some("model", model.as_deref());
        self.word("purpose", purpose);
        self.word("privacy", privacy);
        self.parameters(parameters);
        self.extra("extra", extra);
        self.count("tools", tools.len());
        tools.iter().for_each(|tool| self.tool(tool));
        self.messages(messages);
    }

    fn parameters(&mut self, parameters: &ModelParameters) {
        let ModelParameters {
            temperature,
            max_tokens,
            extra,
        } = parameters;
        let temperature = temperature.map(|number| number.to_bits().to_string());
        self.some("temperature", temperature.as_deref());
        let most = max_tokens.map(|most| most.to_string());
        self.some("max_tokens", most.as_deref());
        self.extra("sampling", extra);
    }

    fn tool(&mut self, tool: &ToolSpec) {
        let ToolSpec {
            name,
            description,
            parameters,
            extra,
        } = tool;
        self.part("tool", name);
        self.part("description", description);
        self.value("schema", parameters);
        self.extra("tool extra", extra);
    }

    fn messages(&mut self, messages: &[ChatMessage]) {
        self.count("messages", messages.len());
        // A call's id only says which result is whose: its place says the same, for every run.
        let calls = messages.iter().flat_map(|message| &message.tool_calls);
        let ids: Vec<&str> = calls.map(|call| call.id.as_str()).collect();
        let place = |id: &str| match ids.iter().rposition(|known| *known == id) {
            Some(place) => place.to_string(),
            None => format!("unknown {id}"),
        };
        let last = messages.len().checked_sub(1);
        for (at, message) in messages.iter().enumerate() {
            let ChatMessage {
                role,
                content,
                images,
                tool_calls,
                tool_call_id,
                extra,
            } = message;
            self.word("role", role);
            if Some(at) != last {
                self.part("content", content);
            }
            self.count("images", images.len());
            for Image { url, detail } in images {
                self.part("image", url);
                self.some("detail", detail.as_deref());
            }
            self.count("calls", tool_calls.len());
            for call in tool_calls {
                let ToolCall {
                    id,
                    name,
                    arguments,
                } = call;
                self.part("call", place(id));
                self.part("of", name);
                self.part("arguments", arguments);
            }
            self.some("result of", tool_call_id.as_deref().map(place).as_deref());
            self.extra("message extra", extra);
        }
    }

    fn extra(&mut self, name: &str, extra: &Extra) {
        self.count(name, extra.len());
        // Sorted by their names already.
        extra
            .iter()
            .for_each(|(name, value)| self.value(name, value));
    }

    /// JSON, in whichever order its fields were written.
    fn value(&mut self, name: &str, value: &Value) {
        match value {
            Value::Null => self.part(name, "null"),
            Value::Bool(value) => self.part(name, if *value { "true" } else { "false" }),
            Value::Number(number) => self.part(name, format!("number {number}")),
            Value::String(text) => {
                self.part(name, "text");
                self.part("", text);
            }
            Value::Array(values) => {
                self.part(name, format!("list of {}", values.len()));
                values.iter().for_each(|value| self.value("", value));
            }
            Value::Object(fields) => {
                self.part(name, format!("object of {}", fields.len()));
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                for (name, value) in fields {
                    self.value(name, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
