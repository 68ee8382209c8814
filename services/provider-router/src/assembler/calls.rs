//! Tool calls that come in pieces.
//!
//! The reference says: the first piece of a call has `index`, `id` and `function.name`, the others
//! `index` and more of `function.arguments`. Servers differ: no index, `index: 0` for every call,
//! the id in every piece or in none, arguments as an object. All of these are read here.

use nexus_contracts::chat::ToolCall;
use serde_json::Value;

use super::WireError;

/// Most calls of one answer: more are a server gone wrong.
pub const MAX_CALLS: usize = 1_024;

/// Calls in the making, in the model's order.
#[derive(Debug, Default)]
pub struct CallParts {
    calls: Vec<Parts>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Parts {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl CallParts {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether there are more than [`MAX_CALLS`].
    #[must_use]
    pub const fn are_too_many(&self) -> bool {
        self.calls.len() > MAX_CALLS
    }

    /// Bytes of all arguments and names so far.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes one element of `tool_calls`.
    pub fn push(&mut self, mut piece: Value) {
        if self.are_too_many() {
            return;
        }
        let function = piece
            .get_mut("function")
            .map(Value::take)
            .unwrap_or_default();
        let id = piece.get("id").and_then(Value::as_str).unwrap_or_default();
        let name = function
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let arguments = match function.get("arguments") {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(object) => object.to_string(),
        };
        self.bytes = self.bytes.saturating_add(name.len() + arguments.len());
        let index = piece.get("index").and_then(Value::as_u64);
        if let Some(call) = self.find(index, id, name) {
            if call.id.is_empty() {
                id.clone_into(&mut call.id);
            }
            if call.name != name {
                call.name.push_str(name);
            }
            call.arguments.push_str(&arguments);
        } else {
            self.calls.push(Parts {
                index,
                id: id.to_owned(),
                name: name.to_owned(),
                arguments,
            });
        }
    }

    /// The call this piece goes on with; `None` when it begins one.
    fn find(&mut self, index: Option<u64>, id: &str, name: &str) -> Option<&mut Parts> {
        let here = |call: &Parts| index.is_none() || call.index == index;
        let known = self
            .calls
            .iter()
            .rposition(|call| !id.is_empty() && call.id == id && here(call));
        let last = self.calls.iter().rposition(here);
        let at = known.or_else(|| {
            let call = self.calls.get(last?)?;
            call.goes_on(index, id, name).then_some(last?)
        })?;
        self.calls.get_mut(at)
    }

    /// The calls. One without an id gets one derived from `seed` and its place; one without
    /// arguments gets an empty object.
    ///
    /// # Errors
    /// [`WireError::NamelessCall`].
    pub fn finish(self, seed: &str) -> Result<Vec<ToolCall>, WireError> {
        self.calls
            .into_iter()
            .enumerate()
            .map(|(place, call)| call.finish(seed, place))
            .collect()
    }
}

impl Parts {
    /// Whether a piece that names no known id is more of this call.
    fn goes_on(&self, index: Option<u64>, id: &str, name: &str) -> bool {
        if name.is_empty() {
            return true;
        }
        // Another id and a name of its own: a new call, whatever its index says.
        if !id.is_empty() && !self.id.is_empty() {
            return false;
        }
        if index.is_none() {
            return id.is_empty() && self.name.is_empty();
        }
        // A new name behind arguments is a new call; some servers repeat the name in every piece.
        self.arguments.is_empty() || self.name == name
    }

    fn finish(self, seed: &str, place: usize) -> Result<ToolCall, WireError> {
        if self.name.is_empty() {
            return Err(WireError::NamelessCall);
        }
        let id = if self.id.is_empty() {
            format!("call_{seed}_{place}")
        } else {
            self.id
        };
        let blank = self.arguments.trim().is_empty();
        let arguments = if blank {
            "{}".to_owned()
        } else {
            self.arguments
        };
        Ok(ToolCall {
            id,
            name: self.name,
            arguments,
        })
    }
}
