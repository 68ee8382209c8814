//! Tool calls in the text of an answer, for models that have no other way to ask for tools. Pure.
//!
//! Reads what models are known to write: see [`Format`]. A call is only what names a tool that was
//! offered; what has one reading is repaired and said ([`Repair`]), what has none or several is
//! refused with words the model can act on ([`Reason`]), and nothing is ever guessed. What did not
//! become a call stays in the prose, byte for byte.
//!
//! Marks that are only ever used for calls (`<tool_call>`, `[TOOL_CALLS]`, …) make what follows a
//! call or a refusal. JSON in prose or in a fence is a call if it has the whole shape of one and
//! names an offered tool; otherwise it is prose, and nobody complains.
//!
//! Time grows with the length of the text and no faster: what was read once is not read again as
//! JSON, whatever it turned out to be.

mod cursor;
mod fence;
mod head;
mod json;
mod marked;
mod named;
mod python;
mod scan;
mod shape;
mod stream;
mod tools;
mod words;
mod xml;

use serde::Serialize;
use serde_json::{Map, Value};

use cursor::Cursor;
use scan::{Block, Piece, Scan, Stage};
use tools::Tools;

pub use stream::{Shown, safe_prefix};
pub use words::{Ambiguity, Problem, Reason, Repair};

/// Most brackets inside each other.
pub const MAX_DEPTH: usize = 64;
/// Longest call, in bytes.
pub const MAX_CALL_BYTES: usize = 1024 * 1024;
/// Most calls of one answer.
pub const MAX_CALLS: usize = 128;
/// Most refusals of one answer; more say nothing new.
pub const MAX_REFUSALS: usize = 32;
/// Longest name of a tool, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// A tool that was offered.
#[derive(Clone, Copy, Debug)]
pub struct Tool<'a> {
    /// Its name.
    pub name: &'a str,
    /// JSON Schema of the arguments object.
    pub parameters: &'a Value,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// The model was done.
    #[default]
    Done,
    /// Something stopped it, such as the token limit. Then a call that lacks brackets may lack more.
    CutShort,
}

/// How a call was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JSON object in the prose.
    Bare,
    /// JSON in a fence of backticks.
    Fenced,
    /// `<tool_call>{…}</tool_call>` and its like: Hermes, Qwen, Granite, Phi, Cohere.
    Tagged,
    /// `{"tool_calls": [{"function": …}]}`.
    OpenAi,
    /// `[TOOL_CALLS][…]`, `[TOOL_CALLS]name[ARGS]{…}`: Mistral.
    Mistral,
    /// `<|python_tag|>…`: Llama.
    PythonTag,
    /// `[name(key="value")]`, `tool_code`: Llama, Gemma.
    Pythonic,
    /// `<function=name>…</function>`: Qwen's coder, Functionary, Llama.
    Function,
    /// `<invoke name="…"><parameter name="…">…`: Anthropic.
    Invoke,
    /// `<arg_key>…</arg_key><arg_value>…</arg_value>`: GLM.
    ArgKeys,
    /// A name, a token, JSON: `DeepSeek`, Kimi, gpt-oss, Functionary's `>>>`.
    Named,
}

/// A call of a tool that was offered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// The tool, as it was offered.
    pub name: String,
    /// The arguments; not checked against the schema.
    pub arguments: Map<String, Value>,
    /// How it was written.
    pub format: Format,
}

/// A repair of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Its place among the calls, from 0.
    pub call: usize,
    /// What was repaired.
    pub repair: Repair,
}

/// Something that looks like a call and was not made one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Where it begins, in bytes of the text.
    pub at: usize,
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
}

/// What an answer says and asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Parsed {
    /// The text without the calls. Without calls it is the text, byte for byte.
    pub prose: String,
    /// The calls, in their order.
    pub calls: Vec<Call>,
    /// What was repaired for them, by call.
    pub repairs: Vec<Repaired>,
    /// What was refused, in its order; still in the prose, unless it shares a list with calls.
    pub refusals: Vec<Refusal>,
}

/// Reads the text of a whole answer to a question that offered these tools.
#[must_use]
pub fn parse(text: &str, tools: &[Tool<'_>], ending: Ending) -> Parsed {
    let cursor = Cursor::new(text);
    let tools = Tools(tools);
    let mut parsed = Parsed::default();
    let mut from = 0;
    for piece in Scan::new(&cursor, &tools, Stage::Ended(ending), 0) {
        let Piece::Block(block) = piece else {
            break;
        };
        from = parsed.take(block, &cursor, from);
    }
    parsed.prose.push_str(cursor.slice(from, text.len()));
    parsed
}

impl Parsed {
    /// Takes what was found; returns where the prose goes on.
    fn take(&mut self, block: Block, cursor: &Cursor<'_>, from: usize) -> usize {
        let made = block.outcomes.iter().filter(|one| one.is_ok()).count();
        // All calls of a block or none: its text is cut out as a whole.
        if self.calls.len() + made > MAX_CALLS {
            self.refuse(block.from, Reason::TooMany);
            return from;
        }
        for outcome in block.outcomes {
            match outcome {
                Ok(made) => {
                    let call = self.calls.len();
                    let repairs = made.repairs.into_iter();
                    self.repairs
                        .extend(repairs.map(|repair| Repaired { call, repair }));
                    self.calls.push(made.call);
                }
                Err(reason) => self.refuse(block.from, reason),
            }
        }
        if made == 0 {
            return from;
        }
        self.prose.push_str(cursor.slice(from, block.from));
        self.prose.push_str(&block.text);
        // A line that held nothing but the call leaves no empty line behind.
        let after = cursor.blank(block.to);
        if after > block.to || after == cursor.len() {
            let kept = self.prose.trim_end().len();
            self.prose.truncate(kept);
        }
        if self.prose.is_empty() {
            after
        } else {
            block.to
        }
    }

    fn refuse(&mut self, at: usize, reason: Reason) {
        let told =
            reason == Reason::TooMany && self.refusals.iter().any(|one| one.reason == reason);
        if !told && self.refusals.len() < MAX_REFUSALS {
            self.refusals.push(Refusal { at, reason });
        }
    }
}

#[cfg(test)]
mod tests;
