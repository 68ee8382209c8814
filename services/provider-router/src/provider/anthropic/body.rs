//! A chat request as the Messages API wants it.

use std::collections::BTreeSet;

use nexus_contracts::chat::ToolSpec;
use serde_json::{Map, Value, json};

use super::history::{history, system};
use super::parameters::fields;
use crate::provider::ChatRequest;

/// The body of `POST /messages`.
///
/// # Errors
/// Words for a person, when the interface cannot carry what was said or asked for.
pub fn body(request: &ChatRequest) -> Result<Value, String> {
    let history = history(&request.messages)?;
    let mut body = fields(&request.parameters, &request.model)?;
    let mut tools: Vec<Value> = request.tools.iter().map(tool).collect();
    // Tools that the provider runs itself, in its own words.
    if let Some(Value::Array(theirs)) = body.remove("tools") {
        tools.extend(theirs);
    }
    offer(&mut body, tools, &history.called);
    if one_call_at_a_time(request) {
        forbid_parallel_calls(&mut body);
    }
    if let Some(system) = system(&request.messages) {
        body.insert("system".to_owned(), system);
    }
    body.insert("model".to_owned(), request.model.as_str().into());
    body.insert("messages".to_owned(), history.messages.into());
    body.insert("stream".to_owned(), true.into());
    Ok(Value::Object(body))
}

/// Puts the tools into the body.
///
/// The API refuses calls in a history without definitions of tools, and a choice of a tool without
/// them. Where none is offered, those of the history are defined by name, and calling them is
/// forbidden: nobody would answer.
fn offer(body: &mut Map<String, Value>, mut tools: Vec<Value>, called: &BTreeSet<String>) {
    if tools.is_empty() {
        body.remove("tool_choice");
        if called.is_empty() {
            return;
        }
        tools = called.iter().map(|name| past_tool(name)).collect();
        body.insert("tool_choice".to_owned(), json!({ "type": "none" }));
    }
    body.insert("tools".to_owned(), tools.into());
}

fn tool(spec: &ToolSpec) -> Value {
    let mut tool = Map::new();
    tool.insert("name".to_owned(), spec.name.as_str().into());
    if !spec.description.trim().is_empty() {
        let description = spec.description.as_str();
        tool.insert("description".to_owned(), description.into());
    }
    let mut schema = match &spec.parameters {
        Value::Object(schema) => schema.clone(),
        _ => Map::new(),
    };
    // Arguments are always an object, and the schema has to say so.
    schema.entry("type").or_insert_with(|| "object".into());
    tool.insert("input_schema".to_owned(), schema.into());
    Value::Object(tool)
}

fn past_tool(name: &str) -> Value {
    json!({
        "name": name,
        "description": "Not available any more.",
        "input_schema": { "type": "object" },
    })
}

fn one_call_at_a_time(request: &ChatRequest) -> bool {
    let parallel = request.parameters.extra.get("parallel_tool_calls");
    parallel.and_then(Value::as_bool) == Some(false)
}

/// The API has it in the choice of a tool, where there is one to choose.
fn forbid_parallel_calls(body: &mut Map<String, Value>) {
    if !body.contains_key("tools") {
        return;
    }
    let choice = body.entry("tool_choice");
    let choice = choice.or_insert_with(|| json!({ "type": "auto" }));
    if let Value::Object(choice) = choice
        && choice.get("type").and_then(Value::as_str) != Some("none")
    {
        choice.insert("disable_parallel_tool_use".to_owned(), true.into());
    }
}

#[cfg(test)]
mod tests;
