//! What form an answer must have: `response_format` and `tool_choice` of a command, as `OpenAI`
//! writes them, into a JSON Schema the engine is held to.

use nexus_contracts::Extra;
use nexus_contracts::chat::ToolSpec;
use serde_json::{Map, Value, json};

/// What form an answer must have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Any; tools may be asked for.
    Free,
    /// Any, but no tool may be asked for.
    NoTools,
    /// JSON of this schema.
    Json(Value),
    /// A call of one of the tools, as `{"name": …, "arguments": …}` of this schema.
    Call(Value),
}

impl Shape {
    /// What the command wants.
    ///
    /// # Errors
    /// What cannot be understood, in words for whoever wrote it.
    pub(crate) fn of(tools: &[ToolSpec], extra: &Extra) -> Result<Self, String> {
        match extra.get("tool_choice") {
            None | Some(Value::Null) => Self::of_format(extra.get("response_format")),
            Some(Value::String(word)) => match word.as_str() {
                "auto" => Self::of_format(extra.get("response_format")),
                "none" => match Self::of_format(extra.get("response_format"))? {
                    Self::Free => Ok(Self::NoTools),
                    shape => Ok(shape),
                },
                "required" if tools.is_empty() => Err("`tool_choice` requires a tool, but there \
                     are none in `tools`"
                    .to_owned()),
                "required" => Ok(Self::Call(any_call(tools))),
                other => Err(format!(
                    "`tool_choice` is `{other}`; known are `auto`, `none`, `required` and a \
                     function by name"
                )),
            },
            Some(choice) => named(tools, choice),
        }
    }

    fn of_format(format: Option<&Value>) -> Result<Self, String> {
        let Some(format) = format.filter(|format| !format.is_null()) else {
            return Ok(Self::Free);
        };
        match format.get("type").and_then(Value::as_str) {
            Some("text") => Ok(Self::Free),
            Some("json_object") => Ok(Self::Json(compact(json!({"type": "object"})))),
            Some("json_schema") => match format.pointer("/json_schema/schema") {
                Some(schema @ Value::Object(_)) => Ok(Self::Json(compact(schema.clone()))),
                _ => Err("`response_format.json_schema.schema` is missing".to_owned()),
            },
            _ => Err(
                "`response_format.type` must be `text`, `json_object` or `json_schema`".to_owned(),
            ),
        }
    }
}

fn named(tools: &[ToolSpec], choice: &Value) -> Result<Shape, String> {
    let name = choice
        .pointer("/function/name")
        .or_else(|| choice.get("name"))
        .and_then(Value::as_str)
        .ok_or("`tool_choice` names no function")?;
    let tool = tools
        .iter()
        .find(|tool| tool.name == name)
        .ok_or_else(|| format!("`tool_choice` names `{name}`, which is not in `tools`"))?;
    Ok(Shape::Call(any_call(std::slice::from_ref(tool))))
}

/// A call of any of these tools. What a tool's schema defines for itself is moved to the root,
/// where its references look for it.
fn any_call(tools: &[ToolSpec]) -> Value {
    let mut definitions: [(&str, Map<String, Value>); 2] =
        [("$defs", Map::new()), ("definitions", Map::new())];
    let mut calls = Vec::with_capacity(tools.len());
    for tool in tools {
        let mut arguments = match &tool.parameters {
            Value::Object(schema) if !schema.is_empty() => schema.clone(),
            _ => Map::from_iter([("type".to_owned(), json!("object"))]),
        };
        for (key, all) in &mut definitions {
            if let Some(Value::Object(theirs)) = arguments.remove(*key) {
                all.extend(theirs);
            }
        }
        calls.push(json!({
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": arguments},
            "required": ["name", "arguments"],
            "additionalProperties": false,
        }));
    }
    let mut schema = match (calls.len(), calls.pop()) {
        (1, Some(call)) => call,
        (_, last) => {
            calls.extend(last);
            json!({"anyOf": calls})
        }
    };
    if let Some(root) = schema.as_object_mut() {
        for (key, all) in definitions {
            if !all.is_empty() {
                root.insert(key.to_owned(), Value::Object(all));
            }
        }
    }
    compact(schema)
}

/// Without leave to put any amount of white space between tokens, in which small models get lost.
fn compact(mut schema: Value) -> Value {
    if let Some(root) = schema.as_object_mut() {
        root.entry("x-guidance")
            .or_insert_with(|| json!({"whitespace_flexible": false}));
    }
    schema
}

#[cfg(test)]
mod tests {
    use nexus_contracts::Extra;
    use nexus_contracts::chat::ToolSpec;
    use serde_json::{Value, json};

    use super::Shape;

    fn tool(name: &str, parameters: Value) -> ToolSpec {
        ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            parameters,
            extra: Extra::new(),
        }
    }

    fn shape(tools: &[ToolSpec], extra: &Value) -> Result<Shape, String> {
        Shape::of(tools, &serde_json::from_value(extra.clone()).unwrap())
    }

    #[test]
    fn formats_are_schemas() {
        assert_eq!(shape(&[], &json!({})), Ok(Shape::Free));
        let format = json!({"response_format": {"type": "json_schema", "json_schema":
            {"name": "n", "schema": {"type": "integer"}}}});
        let Ok(Shape::Json(schema)) = shape(&[], &format) else {
            panic!("no schema");
        };
        assert_eq!(schema["type"], "integer");
        assert_eq!(schema["x-guidance"]["whitespace_flexible"], false);
        for bad in [
            json!({"response_format": {"type": "xml"}}),
            json!({"response_format": {"type": "json_schema"}}),
            json!({"tool_choice": "must"}),
            json!({"tool_choice": "required"}),
            json!({"tool_choice": {"type": "function", "function": {"name": "x"}}}),
        ] {
            shape(&[], &bad).unwrap_err();
        }
    }

    #[test]
    fn a_named_tool_is_a_schema_with_its_definitions_at_the_root() {
        let tools = [
            tool("other", json!({})),
            tool(
                "place",
                json!({"type": "object", "properties": {"at": {"$ref": "#/$defs/p"}},
                    "$defs": {"p": {"type": "string"}}}),
            ),
        ];
        let choice = json!({"tool_choice": {"type": "function", "function": {"name": "place"}}});
        let Ok(Shape::Call(schema)) = shape(&tools, &choice) else {
            panic!("no call");
        };
        assert_eq!(schema["properties"]["name"]["const"], "place");
        assert_eq!(schema["$defs"]["p"]["type"], "string");
        assert!(schema["properties"]["arguments"].get("$defs").is_none());
        let any = shape(&tools, &json!({"tool_choice": "required"}));
        let Ok(Shape::Call(schema)) = any else {
            panic!("no call");
        };
        assert_eq!(schema["anyOf"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            shape(&tools, &json!({"tool_choice": "none"})),
            Ok(Shape::NoTools)
        );
    }
}
