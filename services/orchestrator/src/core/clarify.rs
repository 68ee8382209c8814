//! A tool call that lacks what the tool requires becomes a question to the person, not a guess.

use nexus_contracts::chat::ToolCall;
use nexus_contracts::events::Clarification;
use nexus_contracts::tool::ListedTool;
use serde_json::{Map, Value};

/// The first required argument that a call lacks: it is absent, null or empty. Arguments that do
/// not read are the tool's to refuse, in words the model can act on.
#[must_use]
pub fn missing(tool: &ListedTool, call: &ToolCall) -> Option<Clarification> {
    let arguments = match call.arguments.trim() {
        "" => Map::new(),
        text => serde_json::from_str::<Map<String, Value>>(text).ok()?,
    };
    let required = tool.parameters.get("required")?.as_array()?;
    let lacks = |name: &&str| match arguments.get(*name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    };
    let argument = required.iter().filter_map(Value::as_str).find(lacks)?;
    Some(Clarification {
        tool: tool.name.clone(),
        argument: argument.to_owned(),
    })
}

/// The question, in the words of the tool's own description of the argument.
#[must_use]
pub fn question(tool: &ListedTool, argument: &str) -> String {
    let described = tool
        .parameters
        .pointer(&format!("/properties/{argument}/description"))
        .and_then(Value::as_str)
        .map(|text| text.trim().trim_end_matches('.'));
    let name = argument.replace('_', " ");
    match described {
        Some(text) => format!("To go on I need to know the {name} ({text}). What is it?"),
        None => format!("To go on I need to know the {name}. What is it?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_contracts::Extra;
    use nexus_contracts::chat::ToolSpec;
    use serde_json::json;

    fn tool() -> ListedTool {
        ToolSpec {
            name: "commute".to_owned(),
            description: "How long it takes".to_owned(),
            parameters: json!({
                "properties": { "destination": { "description": "Where to go." }, "by": {} },
                "required": ["by", "destination"],
            }),
            extra: Extra::new(),
        }
        .into()
    }

    fn lacks(arguments: &str) -> Option<String> {
        let call = ToolCall {
            id: "c".to_owned(),
            name: "commute".to_owned(),
            arguments: arguments.to_owned(),
        };
        missing(&tool(), &call).map(|found| found.argument)
    }

    #[test]
    fn what_is_absent_null_or_empty_is_missing() {
        for arguments in [
            r#"{"by":"car"}"#,
            r#"{"by":"car","destination":null}"#,
            r#"{"by":"car","destination":" "}"#,
        ] {
            assert_eq!(
                lacks(arguments).as_deref(),
                Some("destination"),
                "{arguments}"
            );
        }
        assert_eq!(lacks("").as_deref(), Some("by"));
        assert_eq!(lacks(r#"{"by":0,"destination":"work"}"#), None);
        assert_eq!(lacks("{not json"), None);
    }

    #[test]
    fn a_question_uses_the_tools_words() {
        let asked = question(&tool(), "destination");
        assert_eq!(
            asked,
            "To go on I need to know the destination (Where to go). What is it?"
        );
        assert!(
            question(&tool(), "by").contains("the by."),
            "a name is enough"
        );
    }
}
