//! A chat request as `streamGenerateContent` wants it.

use nexus_contracts::Extra;
use nexus_contracts::chat::{ChatMessage, ToolSpec};
use serde_json::{Map, Value, json};

use super::{history, sampling, says_nothing, take_object};
use crate::provider::ChatRequest;

/// Fields of the chat completions interface that have no equal here. Gemini refuses a request for
/// one field it does not know, so a conversation that was set up for another provider would get no
/// answer at all. All other fields pass through: whatever Google adds can be used, and what it does
/// not know it names in its refusal.
const LEFT_OUT: &[&str] = &[
    "audio",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "top_logprobs",
    "user",
    "verbosity",
    "web_search_options",
];

/// The body of the request.
///
/// # Errors
/// Words for a person, when Gemini has no way to say what is asked for.
pub fn body(request: &ChatRequest) -> Result<Value, String> {
    let contents = history::contents(&request.messages)?;
    if contents.is_empty() {
        return Err("Gemini does not answer instructions alone: nobody said anything".to_owned());
    }
    let mut extra = request.parameters.extra.clone();
    extra.retain(|name, value| !value.is_null() && !LEFT_OUT.contains(&name.as_str()));
    let ours = [
        ("contents", Value::Array(contents)),
        ("systemInstruction", instruction(&request.messages)),
        ("tools", tools(&request.tools, &mut extra)?),
        ("toolConfig", tool_config(request, &mut extra)?),
        (
            "generationConfig",
            Value::Object(sampling::generation(request, &mut extra)?),
        ),
    ];
    // What is left has Gemini's own names: `safetySettings`, `cachedContent`, `labels`.
    let mut body: Map<String, Value> = extra.into_iter().collect();
    for (name, value) in ours {
        if !says_nothing(&value) {
            body.insert(name.to_owned(), value);
        }
    }
    Ok(Value::Object(body))
}

fn instruction(messages: &[ChatMessage]) -> Value {
    let parts = history::instructions(messages);
    if parts.is_empty() {
        Value::Null
    } else {
        json!({ "parts": parts })
    }
}

/// Google's own tools, such as its search, come by its own name; ours stand behind them.
fn tools(specs: &[ToolSpec], extra: &mut Extra) -> Result<Value, String> {
    let mut tools = match extra.remove("tools") {
        None => Vec::new(),
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err("`tools` must be a list".to_owned()),
    };
    if !specs.is_empty() {
        let declarations: Vec<Value> = specs.iter().map(declaration).collect();
        tools.push(json!({ "functionDeclarations": declarations }));
    }
    Ok(Value::Array(tools))
}

/// `parametersJsonSchema` takes JSON Schema as it is; `parameters` knows only a part of it and
/// refuses the rest.
fn declaration(tool: &ToolSpec) -> Value {
    let mut declaration = Map::new();
    declaration.insert("name".to_owned(), tool.name.as_str().into());
    declaration.insert("description".to_owned(), tool.description.as_str().into());
    if !takes_nothing(&tool.parameters) {
        declaration.insert("parametersJsonSchema".to_owned(), tool.parameters.clone());
    }
    Value::Object(declaration)
}

/// Whether the schema leaves no arguments to give. The reference says to send none then; an object
/// without properties has been refused.
fn takes_nothing(schema: &Value) -> bool {
    let allows = |(name, value): (&String, &Value)| {
        let about = matches!(name.as_str(), "type" | "title" | "description" | "$schema");
        !about && !says_nothing(value) && *value != Value::Bool(false)
    };
    schema
        .as_object()
        .is_none_or(|fields| !fields.iter().any(allows))
}

fn tool_config(request: &ChatRequest, extra: &mut Extra) -> Result<Value, String> {
    let mut config = take_object(extra, ["tool_config", "toolConfig"])?;
    let choice = extra.remove("tool_choice");
    // How to call functions is refused where there are none.
    if let Some(choice) = choice
        && !request.tools.is_empty()
    {
        config.insert("functionCallingConfig".to_owned(), calling(&choice)?);
    }
    Ok(Value::Object(config))
}

fn calling(choice: &Value) -> Result<Value, String> {
    let name = choice.pointer("/function/name").and_then(Value::as_str);
    match (choice.as_str(), name) {
        (Some("auto"), _) => Ok(json!({ "mode": "AUTO" })),
        (Some("none"), _) => Ok(json!({ "mode": "NONE" })),
        (Some("required"), _) => Ok(json!({ "mode": "ANY" })),
        (None, Some(name)) => Ok(json!({ "mode": "ANY", "allowedFunctionNames": [name] })),
        _ => Err(format!(
            "`tool_choice` must be `auto`, `none`, `required` or a function, not {choice}"
        )),
    }
}

#[cfg(test)]
mod tests;
