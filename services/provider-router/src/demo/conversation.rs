//! What the demo model sees of a request.

use serde_json::Value;

use super::summary;

/// A conversation, up to the question that is open now.
#[derive(Debug)]
pub struct Conversation<'a> {
    /// The last thing a person said; empty when nobody said anything.
    pub question: &'a str,
    /// How many messages came before it.
    pub position: usize,
    /// What people said before it, oldest first; what a summary quotes of them included.
    pub earlier: Vec<&'a str>,
    /// What the model was told to do.
    pub instructions: Vec<&'a str>,
    /// The tool calls made to answer it, in order.
    pub calls: Vec<Call<'a>>,
    /// The tools on offer.
    pub tools: Vec<Tool<'a>>,
    /// Words of the whole conversation: the demo model's tokens.
    pub words: u64,
}

/// A tool call made, and its result if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The tool.
    pub name: &'a str,
    /// Its arguments, JSON text.
    pub arguments: &'a str,
    /// What came back.
    pub result: Option<&'a str>,
}

/// A tool on offer.
#[derive(Clone, Copy, Debug)]
pub struct Tool<'a> {
    /// Its name.
    pub name: &'a str,
    /// JSON Schema of its arguments.
    pub parameters: &'a Value,
}

impl<'a> Conversation<'a> {
    /// Reads a request. What is missing or of the wrong type counts as absent.
    #[must_use]
    pub fn of(body: &'a Value) -> Self {
        let messages = list(body, "messages");
        let position = messages
            .iter()
            .rposition(|message| text(message, "role") == "user");
        let (before, after) = messages.split_at(position.unwrap_or(messages.len()));
        let of = |role: &'static str| {
            let said = before
                .iter()
                .filter(move |message| text(message, "role") == role);
            said.map(|message| text(message, "content"))
        };
        let summarised = of("system").flat_map(summary::told);
        Self {
            question: after.first().map_or("", |message| text(message, "content")),
            position: before.len(),
            earlier: summarised.chain(of("user")).collect(),
            instructions: of("system").collect(),
            calls: calls(after),
            tools: list(body, "tools").iter().filter_map(tool).collect(),
            words: messages.iter().map(words).sum(),
        }
    }

    /// The tool of this name, if it is on offer.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<Tool<'a>> {
        self.tools.iter().copied().find(|tool| tool.name == name)
    }
}

fn calls(messages: &[Value]) -> Vec<Call<'_>> {
    let result = |id: &str| {
        let answers = |message: &&Value| {
            text(message, "role") == "tool" && text(message, "tool_call_id") == id
        };
        messages
            .iter()
            .find(answers)
            .map(|message| text(message, "content"))
    };
    let asked = messages
        .iter()
        .flat_map(|message| list(message, "tool_calls"));
    asked
        .map(|call| {
            let function = call.get("function").unwrap_or(&Value::Null);
            Call {
                name: text(function, "name"),
                arguments: text(function, "arguments"),
                result: result(text(call, "id")),
            }
        })
        .collect()
}

fn tool(spec: &Value) -> Option<Tool<'_>> {
    let function = spec.get("function")?;
    let parameters = function.get("parameters").unwrap_or(&Value::Null);
    Some(Tool {
        name: function.get("name")?.as_str()?,
        parameters,
    })
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value
        .get(field)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn words(message: &Value) -> u64 {
    text(message, "content").split_whitespace().count() as u64
}
