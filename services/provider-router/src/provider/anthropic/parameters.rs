//! Parameters of a request, in the words of the Messages API.
//!
//! What is set for an agent is set in the words of chat completions, whichever provider answers.
//! What both interfaces know is translated; anything else that is no word of chat completions goes
//! through as it is: `thinking`, `metadata`, `top_p`, `top_k`, and what the API gets one day.

use nexus_contracts::events::ModelParameters;
use serde_json::{Map, Value, json};

/// Tokens of an answer for which nobody set a limit: the API demands one.
///
/// What the first models of this interface could at most (Claude 3, in Anthropic's overview of its
/// models), so that none refuses it.
pub const DEFAULT_MAX_TOKENS: u64 = 4096;

/// Words of chat completions that this interface has nothing for.
///
/// They are left out, because they wish for something rather than change what the answer means:
/// settings made for another provider must not keep this one from answering.
const NOT_CARRIED: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "modalities",
    "n",
    "parallel_tool_calls", // part of the choice of a tool, see `body`
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "seed",
    "store",
    "stream_options",
    "top_logprobs",
    "verbosity",
    "web_search_options",
];

/// The fields of the body that parameters become.
///
/// # Errors
/// When one asks for what the interface does not have, and the answer would not be what was asked.
pub fn fields(parameters: &ModelParameters, model: &str) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    let set = parameters
        .extra
        .iter()
        .filter(|(_, value)| !value.is_null());
    for (name, value) in set {
        if name != "reasoning_effort" || takes_effort(model) {
            translate(&mut fields, name, value)?;
        }
    }
    if !takes_sampling(model) {
        fields.remove("top_p");
        fields.remove("top_k");
    } else if let (Some(temperature), false) = (parameters.temperature, thinks(&fields)) {
        // Ours goes to 2, the API's to 1, and 1 is the same in both: the model's own distribution.
        // What lies above is wilder than this interface can be. Its wildest is nearer to that than
        // no answer, which an agent shared by several providers would otherwise get here.
        fields.insert("temperature".to_owned(), temperature.clamp(0.0, 1.0).into());
    }
    if let Some(limit) = parameters.max_tokens {
        fields.insert("max_tokens".to_owned(), limit.into());
    } else if !fields.contains_key("max_tokens") {
        let limit = DEFAULT_MAX_TOKENS.saturating_add(thinking_budget(&fields));
        fields.insert("max_tokens".to_owned(), limit.into());
    }
    Ok(fields)
}

/// Models up to Claude 4.6. Those after them refuse every temperature, `top_p` and `top_k`, so the
/// older ones are the list that can be closed.
fn takes_sampling(model: &str) -> bool {
    const OLDER: [&str; 7] = [
        "claude-2", "claude-3", "-4-0", "-4-1", "-4-2025", "-4-5", "-4-6",
    ];
    !model.contains("claude") || OLDER.iter().any(|older| model.contains(older))
}

/// Opus from 4.5 on and the others from 4.6 on; older models refuse an effort.
fn takes_effort(model: &str) -> bool {
    const WITHOUT: [&str; 7] = [
        "claude-2",
        "claude-3",
        "-4-0",
        "-4-1",
        "-4-2025",
        "sonnet-4-5",
        "haiku-4",
    ];
    !WITHOUT.iter().any(|older| model.contains(older))
}

/// A model that thinks samples as it was trained to, and refuses any other temperature.
fn thinks(fields: &Map<String, Value>) -> bool {
    let thinking = fields
        .get("thinking")
        .and_then(|thinking| thinking.get("type"));
    thinking
        .and_then(Value::as_str)
        .is_some_and(|kind| kind != "disabled")
}

/// Puts a parameter into the fields.
///
/// The API's own words win over translations to the same. Parameters come in alphabetical order,
/// so of each pair either the own word was there first and the translation finds its place taken
/// (`metadata`, `output_config`), or it comes later and is put over it (`stop_sequences`).
fn translate(fields: &mut Map<String, Value>, name: &str, value: &Value) -> Result<(), String> {
    match name {
        _ if NOT_CARRIED.contains(&name) => {}
        // What only the other interface has words for would be refused here.
        "service_tier" if !matches!(value.as_str(), Some("auto" | "standard_only")) => {}
        "metadata" if value.get("user_id").is_none() => {}
        "max_completion_tokens" => put(fields, "max_tokens", value.clone()),
        "reasoning_effort" => {
            // The other words of chat completions, such as `none`, are no efforts here.
            let effort = value.as_str().unwrap_or_default();
            if matches!(effort, "low" | "medium" | "high" | "xhigh" | "max") {
                put_in(fields, "output_config", ("effort", value.clone()));
            }
        }
        "response_format" => {
            if let Some(format) = format_of(value)? {
                put_in(fields, "output_config", ("format", format));
            }
        }
        "stop" if value.is_string() => put(fields, "stop_sequences", json!([value])),
        "stop" => put(fields, "stop_sequences", value.clone()),
        "tool_choice" => put(fields, "tool_choice", choice_of(value)?),
        "user" => put_in(fields, "metadata", ("user_id", value.clone())),
        _ => put(fields, name, value.clone()),
    }
    Ok(())
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Value) {
    fields.insert(name.to_owned(), value);
}

fn put_in(fields: &mut Map<String, Value>, outer: &str, (inner, value): (&str, Value)) {
    let object = fields.entry(outer).or_insert_with(|| json!({}));
    if let Value::Object(object) = object {
        object.entry(inner).or_insert(value);
    }
}

/// The form that the answer has to have; `None` when it is free.
fn format_of(value: &Value) -> Result<Option<Value>, String> {
    let schema = value.pointer("/json_schema/schema");
    match (value.get("type").and_then(Value::as_str), schema) {
        (Some("text"), _) => Ok(None),
        (Some("json_schema"), Some(schema)) => {
            Ok(Some(json!({ "type": "json_schema", "schema": schema })))
        }
        // Whoever asks for JSON reads JSON: text instead would be a broken answer.
        _ => Err(format!(
            "`response_format` is {value}; Anthropic knows only `text`, and `json_schema` with a \
             `json_schema.schema`"
        )),
    }
}

/// Which tool the model has to call.
fn choice_of(value: &Value) -> Result<Value, String> {
    let name = value.pointer("/function/name").and_then(Value::as_str);
    match (value.as_str(), name) {
        (Some(word @ ("auto" | "none")), _) => Ok(json!({ "type": word })),
        (Some("required"), _) => Ok(json!({ "type": "any" })),
        (_, Some(name)) => Ok(json!({ "type": "tool", "name": name })),
        // The API's own form.
        _ if value.is_object() => Ok(value.clone()),
        _ => Err(format!(
            "`tool_choice` is {value}; it can be `auto`, `none`, `required` or a function"
        )),
    }
}

/// Tokens to think with, which the API takes from the limit of the answer.
fn thinking_budget(fields: &Map<String, Value>) -> u64 {
    let thinking = fields.get("thinking");
    let budget = thinking.and_then(|thinking| thinking.get("budget_tokens"));
    budget.and_then(Value::as_u64).unwrap_or(0)
}
