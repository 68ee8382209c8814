//! Names that people give to things ("the office"), resolved in this one place before a tool is
//! called. Pure.
//!
//! A tool says of an argument that it is a name of some kind (`x-alias: place`), and which words
//! mean nothing without that (`x-alias-words: [home, office]`). What is no name stays as it is.

use nexus_contracts::chat::ToolCall;
use nexus_contracts::events::Clarification;
use nexus_contracts::settings::Aliases;
use nexus_contracts::tool::ListedTool;
use serde_json::{Map, Value};

/// The keyword of a property's schema that names its kind.
const KIND: &str = "x-alias";

/// The keyword with the words that have to be resolved.
const WORDS: &str = "x-alias-words";

/// What may stand before a name and adds nothing to it.
const ARTICLES: [&str; 4] = ["the ", "my ", "our ", "your "];

/// The arguments with every name replaced by what it stands for; as they were when nothing was.
///
/// # Errors
/// The first argument with a word that stands for something nobody said.
pub fn resolved(
    tool: &ListedTool,
    call: &ToolCall,
    aliases: &Aliases,
) -> Result<String, Clarification> {
    let Some(properties) = tool
        .parameters
        .get("properties")
        .and_then(Value::as_object)
        .filter(|properties| properties.values().any(|one| one.get(KIND).is_some()))
    else {
        return Ok(call.arguments.clone());
    };
    // What does not read is the tool's to refuse, in words the model can act on.
    let Ok(mut arguments) = serde_json::from_str::<Map<String, Value>>(&call.arguments) else {
        return Ok(call.arguments.clone());
    };
    let mut changed = false;
    for (argument, property) in properties {
        let Some(kind) = property.get(KIND).and_then(Value::as_str) else {
            continue;
        };
        let Some(Value::String(text)) = arguments.get_mut(argument) else {
            continue;
        };
        let name = normal(text);
        if let Some(meant) = lookup(aliases, kind, &name) {
            meant.clone_into(text);
            changed = true;
        } else if words(property).any(|word| normal(word) == name) {
            return Err(Clarification {
                tool: tool.name.clone(),
                argument: argument.clone(),
            });
        }
    }
    if changed {
        Ok(Value::Object(arguments).to_string())
    } else {
        Ok(call.arguments.clone())
    }
}

fn lookup<'a>(aliases: &'a Aliases, kind: &str, name: &str) -> Option<&'a str> {
    let names = aliases.get(kind)?;
    let mut found = names.iter().filter(|(alias, _)| normal(alias) == name);
    found.next().map(|(_, meant)| meant.as_str())
}

fn words(property: &Value) -> impl Iterator<Item = &str> {
    let listed = property.get(WORDS).and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(Value::as_str)
}

fn normal(text: &str) -> String {
    let lower = text.trim().to_lowercase();
    let bare = ARTICLES
        .iter()
        .find_map(|article| lower.strip_prefix(article));
    bare.unwrap_or(&lower).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use nexus_contracts::Extra;
    use nexus_contracts::chat::ToolSpec;
    use serde_json::json;

    use super::*;

    fn commute() -> ListedTool {
        ToolSpec {
            name: "commute".to_owned(),
            description: "How long it takes".to_owned(),
            parameters: json!({
                "properties": {
                    "destination": {
                        "type": "string", "x-alias": "place", "x-alias-words": ["office", "home"]
                    },
                    "by": { "type": "string" },
                },
                "required": ["destination"],
            }),
            extra: Extra::new(),
        }
        .into()
    }

    fn known() -> Aliases {
        let places = [("Office".to_owned(), "1 Main Street".to_owned())];
        [("place".to_owned(), places.into())].into()
    }

    fn asked(arguments: &str) -> Result<String, String> {
        let call = ToolCall {
            id: "c".to_owned(),
            name: "commute".to_owned(),
            arguments: arguments.to_owned(),
        };
        resolved(&commute(), &call, &known()).map_err(|missing| missing.argument)
    }

    #[test]
    fn a_name_is_replaced_however_it_is_written() {
        for said in ["office", "Office", "the office", " my OFFICE "] {
            let arguments = json!({ "destination": said, "by": "office" }).to_string();
            let meant: Value = serde_json::from_str(&asked(&arguments).unwrap()).unwrap();
            assert_eq!(meant["destination"], "1 Main Street", "{said}");
            assert_eq!(meant["by"], "office", "only arguments that say so");
        }
    }

    #[test]
    fn a_word_that_stands_for_nothing_is_asked_for() {
        assert_eq!(
            asked(r#"{"destination":"home"}"#),
            Err("destination".to_owned())
        );
    }

    #[test]
    fn what_is_no_name_stays_to_the_letter() {
        for arguments in [
            r#"{ "destination" : "22 High Street" }"#,
            "{broken",
            r#"{"by":1}"#,
        ] {
            assert_eq!(asked(arguments).as_deref(), Ok(arguments));
        }
    }
}
