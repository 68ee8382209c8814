//! What was said, as turns of the user and the assistant.
//!
//! The API's rules, each of which refuses the whole request: the first turn is the user's; no text
//! is blank; every call has its result at the very beginning of the turn after it; names and ids
//! are letters, digits, `_` and `-`, and no id is there twice; thinking goes back as it came.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use nexus_contracts::chat::{ChatMessage, Image, Role};
use serde_json::{Value, json};

use super::blocks::{Kind, input_of};

/// A history as the API takes it.
#[derive(Debug)]
pub struct History {
    /// The turns.
    pub messages: Vec<Value>,
    /// The tools that are called in it.
    pub called: BTreeSet<String>,
}

/// The instructions of all system messages, wherever they stand; `None` when there are none.
#[must_use]
pub fn system(said: &[ChatMessage]) -> Option<Value> {
    let parts = said.iter().filter(|message| message.role == Role::System);
    let parts: Vec<&ChatMessage> = parts.filter(|part| !is_blank(&part.content)).collect();
    if parts.is_empty() {
        return None;
    }
    if parts.iter().any(|part| cache_control(part).is_some()) {
        let blocks = parts.into_iter().flat_map(marked_text);
        return Some(blocks.collect());
    }
    let texts: Vec<&str> = parts.iter().map(|part| part.content.as_str()).collect();
    Some(texts.join("\n\n").into())
}

/// All that was said but the instructions.
///
/// # Errors
/// When the interface cannot carry it: nobody said anything, the assistant began, or the result of
/// a tool does not say what it is the result of.
pub fn history(said: &[ChatMessage]) -> Result<History, String> {
    // The turn that is going on: all that came after the person's last words.
    let asked = said.iter().rposition(|message| message.role == Role::User);
    let asked = asked.unwrap_or_default();
    let mut turns = Turns::default();
    for (at, message) in said.iter().enumerate() {
        match message.role {
            Role::System => {}
            Role::User => turns.add("user", Vec::new(), said_and_shown(message)),
            Role::Tool => turns.answer(message)?,
            Role::Assistant if at > asked => turns.go_on(message),
            Role::Assistant => turns.recall(message),
        }
    }
    turns.finish()
}

/// Pictures and text of a person. The API's guide wants pictures first; they are what the text is
/// about.
fn said_and_shown(message: &ChatMessage) -> Vec<Value> {
    let mut blocks: Vec<Value> = message.images.iter().map(image).collect();
    if blocks.is_empty() {
        return marked_text(message);
    }
    blocks.extend(text(&message.content));
    mark(&mut blocks, message);
    blocks
}

fn image(image: &Image) -> Value {
    let source = match image.inline() {
        Some((kind, data)) => json!({ "type": "base64", "media_type": kind, "data": data }),
        None => json!({ "type": "url", "url": image.url }),
    };
    json!({ "type": "image", "source": source })
}

#[derive(Debug)]
struct Turn {
    role: &'static str,
    results: Vec<Value>,
    blocks: Vec<Value>,
}

#[derive(Debug, Default)]
struct Turns {
    turns: Vec<Turn>,
    ids: Ids,
    called: BTreeSet<String>,
}

impl Turns {
    /// Adds to the turn of this role, which is a new one when the other spoke last.
    fn add(&mut self, role: &'static str, results: Vec<Value>, blocks: Vec<Value>) {
        if results.is_empty() && blocks.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => {
                turn.results.extend(results);
                turn.blocks.extend(blocks);
            }
            _ => self.turns.push(Turn {
                role,
                results,
                blocks,
            }),
        }
    }

    fn answer(&mut self, message: &ChatMessage) -> Result<(), String> {
        let id = message.tool_call_id.as_deref().filter(|id| !id.is_empty());
        let id = id.ok_or("the result of a tool does not say which call it answers")?;
        let mut result = json!({ "type": "tool_result", "tool_use_id": self.ids.answered(id) });
        if !is_blank(&message.content)
            && let Value::Object(fields) = &mut result
        {
            fields.insert("content".to_owned(), message.content.as_str().into());
        }
        let mut results = vec![result];
        mark(&mut results, message);
        self.add("user", results, Vec::new());
        Ok(())
    }

    /// An answer of an earlier turn: text and calls.
    ///
    /// Without what the model thought, which the API allows between turns. It has to be so, because
    /// newer models bind a thought to every word before it (Anthropic's guide calls it preserved
    /// thinking) and refuse the request when those have changed: ours change whenever the window
    /// moves or a summary takes the place of older messages.
    fn recall(&mut self, message: &ChatMessage) {
        let mut blocks = text(&message.content);
        self.call(message, &mut blocks);
        mark(&mut blocks, message);
        self.add("assistant", Vec::new(), blocks);
    }

    /// An answer of the turn that is going on, in which the model thinks on from where it was: what
    /// it thought comes first, unchanged.
    fn go_on(&mut self, message: &ChatMessage) {
        let mut blocks = if let Some(blocks) = as_it_came(message) {
            self.repeat(blocks)
        } else {
            let mut blocks = thinking(message);
            blocks.extend(text(&message.content));
            self.call(message, &mut blocks);
            blocks
        };
        // The API refuses a message that ends in thinking, and it led to nothing.
        if blocks.iter().all(is_thinking) {
            return;
        }
        mark(&mut blocks, message);
        self.add("assistant", Vec::new(), blocks);
    }

    fn call(&mut self, message: &ChatMessage, blocks: &mut Vec<Value>) {
        for call in &message.tool_calls {
            let name = safe(&call.name);
            let id = self.ids.called(&call.id);
            let input = input_of(&call.arguments);
            blocks.push(json!({ "type": "tool_use", "id": id, "name": name, "input": input }));
            self.called.insert(name);
        }
    }

    fn repeat(&mut self, blocks: &[Value]) -> Vec<Value> {
        let mut repeated: Vec<Value> = blocks.iter().filter(|b| is_welcome(b)).cloned().collect();
        let calls = repeated
            .iter_mut()
            .filter(|block| kind(block) == Kind::Call);
        for call in calls.filter_map(Value::as_object_mut) {
            let word = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default();
            self.called.insert(safe(word("name")));
            let id = self.ids.called(word("id"));
            call.insert("id".to_owned(), id.into());
        }
        repeated
    }

    fn finish(mut self) -> Result<History, String> {
        match self.turns.first() {
            None => return Err("there is no message to answer".to_owned()),
            Some(turn) if turn.role != "user" => {
                let why = "the conversation opens with an answer; Anthropic takes only those that \
                           open with a person's message";
                return Err(why.to_owned());
            }
            Some(_) => {}
        }
        // The model goes on right behind the last words of the assistant, and the API refuses
        // blanks there.
        if let Some(last) = self
            .turns
            .last_mut()
            .filter(|last| last.role == "assistant")
            && let Some(Value::Object(block)) = last.blocks.last_mut()
            && let Some(Value::String(text)) = block.get_mut("text")
        {
            let kept = text.trim_end().len();
            text.truncate(kept);
        }
        Ok(History {
            messages: self.turns.into_iter().map(Turn::into_value).collect(),
            called: self.called,
        })
    }
}

impl Turn {
    /// Results first: one behind anything else counts as missing.
    fn into_value(self) -> Value {
        let Self {
            role,
            mut results,
            blocks,
        } = self;
        results.extend(blocks);
        json!({ "role": role, "content": results })
    }
}

/// The ids of calls, made fit for the API. A conversation that another provider began may hold any,
/// and there are servers that begin with the same ones in every answer.
#[derive(Debug, Default)]
struct Ids {
    used: BTreeSet<String>,
    /// How often each was wanted, so that the next free one is not looked for from the first.
    wanted: BTreeMap<String, usize>,
    /// For the id that the history has: those that were made of it and have no result yet.
    open: BTreeMap<String, VecDeque<String>>,
}

impl Ids {
    fn called(&mut self, id: &str) -> String {
        let plain = safe(id);
        let mut fit = plain.clone();
        let count = self.wanted.entry(plain.clone()).or_insert(1);
        while !self.used.insert(fit.clone()) {
            *count += 1;
            fit = format!("{plain}_{count}");
        }
        let open = self.open.entry(id.to_owned()).or_default();
        open.push_back(fit.clone());
        fit
    }

    fn answered(&mut self, id: &str) -> String {
        let open = self.open.get_mut(id);
        let oldest = open.and_then(VecDeque::pop_front);
        oldest.unwrap_or_else(|| safe(id))
    }
}

/// A name or an id in the characters that the API takes.
fn safe(word: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let safe: String = word
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    if safe.is_empty() {
        "_".to_owned()
    } else {
        safe
    }
}

/// The blocks of an answer as they came, if they still say what the message says: whoever changed
/// the message meant to change what the model gets to see.
fn as_it_came(message: &ChatMessage) -> Option<&[Value]> {
    let Some(Value::Array(blocks)) = message.extra.get("blocks") else {
        return None;
    };
    let words = |of: Kind, name: &'static str| {
        let blocks = blocks.iter().filter(move |block| kind(block) == of);
        blocks.filter_map(move |block| block.get(name)?.as_str())
    };
    let text: String = words(Kind::Text, "text").collect();
    let ids = message.tool_calls.iter().map(|call| call.id.as_str());
    let same = text == message.content && ids.eq(words(Kind::Call, "id"));
    same.then_some(blocks.as_slice())
}

/// What the model thought on the way to this message.
fn thinking(message: &ChatMessage) -> Vec<Value> {
    let Some(Value::Array(blocks)) = message.extra.get("thinking_blocks") else {
        return Vec::new();
    };
    let thinking = blocks.iter().filter(|block| is_thinking(block));
    thinking
        .filter(|block| is_welcome(block))
        .cloned()
        .collect()
}

/// Whether the API takes it back: no blank text, and no thinking without its seal, which it has
/// not when it was cut off or comes from elsewhere.
fn is_welcome(block: &Value) -> bool {
    let has = |name: &str| {
        let word = block.get(name).and_then(Value::as_str);
        word.is_some_and(|word| !is_blank(word))
    };
    match kind(block) {
        Kind::Text => has("text"),
        Kind::Thinking => has("signature") || has("data"),
        Kind::Call | Kind::Other => has("type"),
    }
}

fn kind(block: &Value) -> Kind {
    Kind::of(block.get("type"))
}

fn is_thinking(block: &Value) -> bool {
    kind(block) == Kind::Thinking
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// A text as blocks: none when it is blank.
fn text(said: &str) -> Vec<Value> {
    if is_blank(said) {
        return Vec::new();
    }
    vec![json!({ "type": "text", "text": said })]
}

fn marked_text(message: &ChatMessage) -> Vec<Value> {
    let mut blocks = text(&message.content);
    mark(&mut blocks, message);
    blocks
}

fn cache_control(message: &ChatMessage) -> Option<&Value> {
    let mark = message.extra.get("cache_control");
    mark.filter(|mark| !mark.is_null())
}

/// Puts the message's mark for the prompt cache on its last block that can have one. Nothing else
/// of `extra` goes out: other providers' fields are there too, and the API refuses unknown ones.
fn mark(blocks: &mut [Value], message: &ChatMessage) {
    let Some(mark) = cache_control(message) else {
        return;
    };
    let mut blocks = blocks.iter_mut().rev();
    if let Some(Value::Object(block)) = blocks.find(|block| !is_thinking(block)) {
        block.insert("cache_control".to_owned(), mark.clone());
    }
}

#[cfg(test)]
pub(super) mod tests;
