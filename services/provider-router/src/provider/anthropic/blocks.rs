//! Content blocks: what an answer is made of, and what a history is sent as.
//!
//! A block is kept as the raw JSON it came as, because some of it has to go back unchanged: the
//! API checks the signature of a thinking block.

use nexus_contracts::chat::ToolCall;
use serde_json::{Map, Value, json};

use crate::assembler::WireError;

/// What a block is, in the order in which a plain answer has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What the model thought, readable or not.
    Thinking,
    /// What it says.
    Text,
    /// A tool it wants called.
    Call,
    /// Anything else, such as the tools that the provider runs itself.
    Other,
}

impl Kind {
    /// The kind that the value of a block's `type` names.
    #[must_use]
    pub fn of(word: Option<&Value>) -> Self {
        match word.and_then(Value::as_str) {
            Some("thinking" | "redacted_thinking") => Self::Thinking,
            Some("text") => Self::Text,
            Some("tool_use") => Self::Call,
            _ => Self::Other,
        }
    }
}

/// Arguments as the object that the API demands.
///
/// What is no JSON object is wrapped into one, as Anthropic's guide to fine-grained tool streaming
/// advises: left out or mended, the model would not see its own mistake, which the tool's result
/// complains about.
#[must_use]
pub fn input_of(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(input)) => Value::Object(input),
        _ => json!({ "INVALID_JSON": arguments }),
    }
}

/// A block in the making.
#[derive(Debug)]
pub struct Block {
    fields: Map<String, Value>,
    /// The input that came in pieces, as text.
    input: String,
    closed: bool,
}

impl Block {
    /// A block as `content_block_start` or a whole answer has it.
    #[must_use]
    pub const fn new(fields: Map<String, Value>) -> Self {
        Self {
            fields,
            input: String::new(),
            closed: false,
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::of(self.fields.get("type"))
    }

    /// The text of the answer in it so far; empty in a block of another kind.
    #[must_use]
    pub fn text(&self) -> &str {
        if self.kind() == Kind::Text {
            self.word("text")
        } else {
            ""
        }
    }

    /// What the model thought, where it can be read.
    #[must_use]
    pub fn thought(&self) -> &str {
        self.word("thinking")
    }

    /// The sources of its text.
    #[must_use]
    pub fn citations(&self) -> &[Value] {
        match self.fields.get("citations") {
            Some(Value::Array(citations)) => citations,
            _ => &[],
        }
    }

    /// The provider said that nothing is added to it any more.
    pub const fn close(&mut self) {
        self.closed = true;
    }

    /// Whether [`Self::close`] was called.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes a `delta`; returns the text of the answer it adds.
    pub fn grow(&mut self, piece: Map<String, Value>) -> String {
        let mut said = String::new();
        for (name, value) in piece {
            match (name.as_str(), value) {
                ("type", _) | (_, Value::Null) => {}
                ("partial_json", Value::String(json)) => self.input.push_str(&json),
                ("citation", citation) => self.cite(citation),
                // A signature comes whole.
                ("signature", signature) => {
                    self.fields.insert(name, signature);
                }
                (_, Value::String(more)) => {
                    if self.kind() == Kind::Text && name == "text" {
                        said.push_str(&more);
                    }
                    self.append(name, more);
                }
                (_, value) => {
                    self.fields.insert(name, value);
                }
            }
        }
        said
    }

    /// The block as a call of a tool. One without an id gets one from `seed` and its place.
    ///
    /// # Errors
    /// [`WireError::NamelessCall`].
    pub fn call(&self, seed: &str, place: usize) -> Result<ToolCall, WireError> {
        let name = self.word("name");
        if name.is_empty() {
            return Err(WireError::NamelessCall);
        }
        let id = match self.word("id") {
            "" => format!("call_{seed}_{place}"),
            id => id.to_owned(),
        };
        Ok(ToolCall {
            id,
            name: name.to_owned(),
            arguments: self.arguments(),
        })
    }

    /// The arguments as the model wrote them, valid or not: they are checked where they are used.
    #[must_use]
    pub fn arguments(&self) -> String {
        if !self.input.trim().is_empty() {
            return self.input.clone();
        }
        // A whole answer has them as an object, a stream an empty one to begin with.
        let input = self.fields.get("input").filter(|input| input.is_object());
        input.map_or_else(|| "{}".to_owned(), ToString::to_string)
    }

    /// A copy of what came, without the input that came in pieces.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    /// The block as it goes back to the API.
    #[must_use]
    pub fn into_value(mut self) -> Value {
        if !self.input.trim().is_empty() {
            let input = input_of(&self.input);
            self.fields.insert("input".to_owned(), input);
        }
        Value::Object(self.fields)
    }

    fn word(&self, name: &str) -> &str {
        let word = self.fields.get(name).and_then(Value::as_str);
        word.unwrap_or_default()
    }

    fn append(&mut self, name: String, more: String) {
        if let Some(Value::String(text)) = self.fields.get_mut(&name) {
            text.push_str(&more);
        } else {
            self.fields.insert(name, Value::String(more));
        }
    }

    fn cite(&mut self, citation: Value) {
        if let Some(Value::Array(citations)) = self.fields.get_mut("citations") {
            citations.push(citation);
        } else {
            let first = Value::Array(vec![citation]);
            self.fields.insert("citations".to_owned(), first);
        }
    }
}
