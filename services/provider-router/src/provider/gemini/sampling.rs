//! How to answer, as `generationConfig`.

use nexus_contracts::Extra;
use serde_json::{Map, Value, json};

use super::take_object;
use crate::provider::ChatRequest;

/// Fields of the chat completions interface that only have another name.
const RENAMED: [(&str, &str); 6] = [
    ("frequency_penalty", "frequencyPenalty"),
    ("max_completion_tokens", "maxOutputTokens"),
    ("presence_penalty", "presencePenalty"),
    ("seed", "seed"),
    ("top_k", "topK"),
    ("top_p", "topP"),
];

/// The configuration, made from what `extra` has in either interface's words; they are taken out
/// of it. What the chat completions interface calls by name counts more than `generationConfig`.
///
/// # Errors
/// Words for a person, when a field cannot be read.
pub fn generation(request: &ChatRequest, extra: &mut Extra) -> Result<Map<String, Value>, String> {
    let mut config = take_object(extra, ["generation_config", "generationConfig"])?;
    for (theirs, ours) in RENAMED {
        if let Some(value) = extra.remove(theirs) {
            config.insert(ours.to_owned(), value);
        }
    }
    if let Some(temperature) = request.parameters.temperature {
        config.insert("temperature".to_owned(), temperature.into());
    }
    if let Some(limit) = request.parameters.max_tokens {
        config.insert("maxOutputTokens".to_owned(), limit.into());
    }
    if let Some(stop) = extra.remove("stop") {
        let list = if stop.is_array() {
            stop
        } else {
            Value::Array(vec![stop])
        };
        config.insert("stopSequences".to_owned(), list);
    }
    if let Some(format) = extra.remove("response_format") {
        config.extend(shape(&format)?);
    }
    if let Some(effort) = extra.remove("reasoning_effort") {
        think(&mut config, &effort, &request.model)?;
    }
    Ok(config)
}

/// The shape of the answer. The schema goes as it is: `responseSchema` would take only a part.
fn shape(format: &Value) -> Result<Map<String, Value>, String> {
    let mut shape = Map::new();
    match format.get("type").and_then(Value::as_str) {
        Some("text") => return Ok(shape),
        Some("json_object" | "json_schema") => {}
        _ => {
            let known = "`text`, `json_object` or `json_schema`";
            return Err(format!("the type of `response_format` must be {known}"));
        }
    }
    shape.insert("responseMimeType".to_owned(), "application/json".into());
    if let Some(schema) = format.pointer("/json_schema/schema") {
        shape.insert("responseJsonSchema".to_owned(), schema.clone());
    }
    Ok(shape)
}

fn think(config: &mut Map<String, Value>, effort: &Value, model: &str) -> Result<(), String> {
    let amount = effort.as_str().and_then(|effort| amount(effort, model));
    let Some((name, value)) = amount else {
        let known = "`none`, `minimal`, `low`, `medium`, `high` or `xhigh`";
        return Err(format!("`reasoning_effort` must be {known}, not {effort}"));
    };
    let thinking = config.entry("thinkingConfig").or_insert_with(|| json!({}));
    // Two measures in one request are refused. Whoever used Google's name meant it.
    if let Some(thinking) = thinking.as_object_mut()
        && !thinking.contains_key("thinkingBudget")
        && !thinking.contains_key("thinkingLevel")
    {
        thinking.insert(name.to_owned(), value);
    }
    Ok(())
}

/// How much to think, in the model's own measure: the table is from Google's guide to its
/// interface that speaks chat completions. A model that cannot stop thinking refuses `none`.
fn amount(effort: &str, model: &str) -> Option<(&'static str, Value)> {
    // The larger models know nothing less than `low`.
    let least = if model.contains("pro") {
        "low"
    } else {
        "minimal"
    };
    let (tokens, level): (u32, &str) = match effort {
        "none" => return Some(("thinkingBudget", Value::from(0_u32))),
        "minimal" => (1_024, least),
        "low" => (1_024, "low"),
        "medium" => (8_192, "medium"),
        "high" | "xhigh" => (24_576, "high"),
        _ => return None,
    };
    // Levels came with Gemini 3.
    Some(if model.contains("gemini-2") {
        ("thinkingBudget", Value::from(tokens))
    } else {
        ("thinkingLevel", Value::from(level))
    })
}
