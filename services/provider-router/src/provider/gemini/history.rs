//! What was said, as instructions and turns.
//!
//! A turn is the `user`'s or the `model`'s; results of tools are said by the user. What one side
//! says in a row is one turn, because the results of calls made side by side have to stand
//! together, directly behind the calls.

use std::collections::{BTreeMap, VecDeque};

use nexus_contracts::chat::{ChatMessage, Role};
use serde_json::{Map, Value, json};

use super::{PARTS, SIGNATURES};

/// What the guide to thought signatures says to send for a call that Gemini did not make: since
/// Gemini 3, a history in which the first call of a step is not signed is refused. Older models do
/// not mind.
const NOT_MADE_HERE: &str = "skip_thought_signature_validator";

/// Parts besides text and calls that Gemini wants to see again, or may: pictures it made, code it
/// ran, tools it called itself. Whatever else is in a message's `parts` is nobody's to send.
const SENT_BACK: [&str; 6] = [
    "codeExecutionResult",
    "executableCode",
    "fileData",
    "inlineData",
    "toolCall",
    "toolResponse",
];

/// The tools that were called under an id, the oldest first: there are servers that begin with the
/// same ids in every answer.
type Names<'a> = BTreeMap<&'a str, VecDeque<&'a str>>;

struct Turn {
    role: &'static str,
    parts: Vec<Value>,
}

/// The instructions, wherever they stand among the messages: Gemini has one place for them.
#[must_use]
pub fn instructions(messages: &[ChatMessage]) -> Vec<Value> {
    let system = messages.iter().filter(|said| said.role == Role::System);
    system.filter_map(text).collect()
}

/// The turns.
///
/// # Errors
/// When a result belongs to no call: Gemini wants the name of the tool, which only the call knows.
pub fn contents(messages: &[ChatMessage]) -> Result<Vec<Value>, String> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut names = Names::new();
    for said in messages {
        let (role, parts): (&'static str, Vec<Value>) = match said.role {
            Role::System => continue,
            Role::User => ("user", shown(said).chain(text(said)).collect()),
            Role::Tool => ("user", vec![result(said, &mut names)?]),
            Role::Assistant => {
                for call in &said.tool_calls {
                    names.entry(&call.id).or_default().push_back(&call.name);
                }
                ("model", of_model(said))
            }
        };
        match turns.last_mut() {
            // A turn without parts is refused.
            _ if parts.is_empty() => {}
            Some(turn) if turn.role == role => turn.parts.extend(parts),
            _ => turns.push(Turn { role, parts }),
        }
    }
    let content = |turn: Turn| json!({ "role": turn.role, "parts": turn.parts });
    Ok(turns.into_iter().map(content).collect())
}

/// Pictures a person shows, by their bytes or by where they are.
fn shown(said: &ChatMessage) -> impl Iterator<Item = Value> {
    said.images.iter().map(|image| match image.inline() {
        Some((kind, data)) => json!({ "inlineData": { "mimeType": kind, "data": data } }),
        None => json!({ "fileData": { "fileUri": image.url } }),
    })
}

fn text(said: &ChatMessage) -> Option<Value> {
    (!said.content.is_empty()).then(|| json!({ "text": said.content }))
}

/// What the model said, signed as it signed it: first what it did itself, then what it says about
/// it, then what it asks for.
fn of_model(said: &ChatMessage) -> Vec<Value> {
    let mut parts: Vec<Value> = sent_back(said).cloned().collect();
    if !said.content.is_empty() {
        let content = said.content.as_str().into();
        parts.push(part("text", content, signature_of(said, "")));
    }
    for (place, call) in said.tool_calls.iter().enumerate() {
        // Ids that others made go along: they only have to be the same in the result.
        let function = json!({
            "id": call.id,
            "name": call.name,
            "args": arguments(&call.arguments),
        });
        let first = (place == 0).then_some(NOT_MADE_HERE);
        let signature = signature_of(said, &call.id).or(first);
        parts.push(part("functionCall", function, signature));
    }
    parts
}

fn sent_back(said: &ChatMessage) -> impl Iterator<Item = &Value> {
    let parts = said.extra.get(PARTS).and_then(Value::as_array);
    parts
        .into_iter()
        .flatten()
        .filter(|part| SENT_BACK.iter().any(|kind| part.get(*kind).is_some()))
}

fn signature_of<'a>(said: &'a ChatMessage, id: &str) -> Option<&'a str> {
    said.extra.get(SIGNATURES)?.get(id)?.as_str()
}

fn part(kind: &str, content: Value, signature: Option<&str>) -> Value {
    let mut part = Map::new();
    part.insert(kind.to_owned(), content);
    if let Some(signature) = signature {
        part.insert("thoughtSignature".to_owned(), signature.into());
    }
    Value::Object(part)
}

/// Arguments have to be an object. What a model wrote instead is shown as it is, so that the error
/// it got for it makes sense.
fn arguments(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        _ if text.trim().is_empty() => json!({}),
        _ => json!({ "arguments": text }),
    }
}

fn result(told: &ChatMessage, names: &mut Names<'_>) -> Result<Value, String> {
    let id = told.tool_call_id.as_deref().unwrap_or_default();
    let called = names.get_mut(id).and_then(VecDeque::pop_front);
    let name = called
        .ok_or_else(|| format!("the result of the tool call `{id}` comes without the call"))?;
    let response = match serde_json::from_str::<Value>(&told.content) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        _ => json!({ "result": told.content }),
    };
    let function = json!({ "id": id, "name": name, "response": response });
    Ok(json!({ "functionResponse": function }))
}
