//! A schema as models, and people who approve it, are shown it: the same for both.
//!
//! A model reads characters that a person does not see. In the words that explain a schema they are
//! left out, as in descriptions. Names and values cannot be changed: the server would not know them
//! again. A tool with such a character there is not offered.

use serde_json::{Map, Value};

use crate::text;

/// Keywords whose texts explain and mean nothing to a validator.
const PROSE: [&str; 4] = ["title", "description", "$comment", "markdownDescription"];
/// Keywords that hold schemas by names of the server's choice.
const NAMED: [&str; 6] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "dependencies",
];
/// Keywords that hold data.
const DATA: [&str; 5] = ["enum", "const", "default", "examples", "example"];

/// `schema` with its prose cleaned.
pub(crate) fn shown(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => map.iter().map(shown_keyword).collect(),
        Value::Array(items) => items.iter().map(shown).collect(),
        other => other.clone(),
    }
}

/// How many characters [`shown`] leaves out.
pub(crate) fn left_out(schema: &Value) -> usize {
    lost(schema, &shown(schema))
}

fn lost(whole: &Value, part: &Value) -> usize {
    match (whole, part) {
        (Value::String(whole), Value::String(part)) => whole.chars().count() - part.chars().count(),
        (Value::Array(whole), Value::Array(part)) => {
            whole.iter().zip(part).map(|(a, b)| lost(a, b)).sum()
        }
        // The same keys, so in the same order.
        (Value::Object(whole), Value::Object(part)) => {
            let pairs = whole.values().zip(part.values());
            pairs.map(|(a, b)| lost(a, b)).sum()
        }
        _ => 0,
    }
}

fn shown_keyword((key, value): (&String, &Value)) -> (String, Value) {
    let shown = match (kind(key, value), value) {
        (Kind::Prose(text), _) => text::clean(text, text.len()).into(),
        (Kind::Named(named), _) => {
            let named = named.iter().map(|(name, part)| (name.clone(), shown(part)));
            Value::Object(named.collect())
        }
        (Kind::Data, data) => data.clone(),
        (Kind::Schema, part) => shown(part),
    };
    (key.clone(), shown)
}

/// Where a name or value of `schema` holds what nobody sees; for people.
pub(crate) fn deceiving(schema: &Value) -> Option<String> {
    match schema {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            let within = match kind(key, value) {
                Kind::Prose(_) => None,
                Kind::Named(named) => named
                    .iter()
                    .find_map(|(name, part)| name_or(name, || deceiving(part))),
                Kind::Data => deceiving_data(value),
                Kind::Schema => deceiving(value),
            };
            name_or(key, || within.map(|it| format!("{key}/{it}")))
        }),
        Value::Array(items) => items.iter().find_map(deceiving),
        other => deceiving_data(other),
    }
}

fn deceiving_data(data: &Value) -> Option<String> {
    match data {
        Value::String(text) => text::deceives(text).then(|| place(text)),
        Value::Array(items) => items.iter().find_map(deceiving_data),
        Value::Object(map) => map
            .iter()
            .find_map(|(name, value)| name_or(name, || deceiving_data(value))),
        _ => None,
    }
}

fn name_or(name: &str, otherwise: impl FnOnce() -> Option<String>) -> Option<String> {
    match text::deceives(name) {
        true => Some(place(name)),
        false => otherwise(),
    }
}

fn place(text: &str) -> String {
    format!("\"{}\"", text::line(text, 60))
}

/// What a keyword holds.
enum Kind<'a> {
    Prose(&'a str),
    Named(&'a Map<String, Value>),
    Data,
    Schema,
}

fn kind<'a>(key: &str, value: &'a Value) -> Kind<'a> {
    match value {
        Value::String(text) if PROSE.contains(&key) => Kind::Prose(text),
        Value::Object(named) if NAMED.contains(&key) => Kind::Named(named),
        _ if DATA.contains(&key) => Kind::Data,
        _ => Kind::Schema,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::definition::tests::json_value;

    const UNSEEN: &str = "\u{e0041}\u{200b}";

    fn with(text: &str) -> String {
        format!("{text}{UNSEEN}")
    }

    #[test]
    fn words_that_explain_are_cleaned_wherever_a_schema_can_be() {
        let schema = json!({
            "title": with("T"), "description": with("D"), "$comment": with("C"),
            "properties": {"description": {"description": with("d"), "items": [{"title": with("t")}]}},
            "anyOf": [{"not": {"description": with("n")}}],
            "$defs": {"default": {"title": with("x")}},
        });
        assert_eq!(deceiving(&schema), None);
        assert_eq!(left_out(&schema), 7 * UNSEEN.chars().count());
        assert_eq!(
            shown(&schema),
            json!({
                "title": "T", "description": "D", "$comment": "C",
                "properties": {"description": {"description": "d", "items": [{"title": "t"}]}},
                "anyOf": [{"not": {"description": "n"}}],
                "$defs": {"default": {"title": "x"}},
            })
        );
    }

    #[test]
    fn names_and_values_with_what_nobody_sees_are_found() {
        for schema in [
            json!({"properties": {with("city"): {}}}),
            json!({"properties": {"city": {"properties": {with("x"): true}}}}),
            json!({"required": [with("city")]}),
            json!({"properties": {"unit": {"enum": ["c", with("f")]}}}),
            json!({"const": {"a": [with("b")]}}),
            json!({"default": {"description": with("not prose but data")}}),
            json!({"examples": [{with("name"): 1}]}),
            json!({"pattern": with("^a")}),
            json!({"anyOf": [{"format": with("date")}]}),
            json!({with("x-hint"): "y"}),
            json!({"x-hint": with("y")}),
            json!({"dependentRequired": {"a": [with("b")]}}),
            json!({"properties": with("no map")}),
            json!({"properties": {"description": with("a name, not prose")}}),
            json!([with("a")]),
            json!("\u{202e}"),
        ] {
            assert!(deceiving(&schema).is_some(), "{schema}");
        }
        // JSON shows these by their numbers.
        assert_eq!(
            deceiving(&json!({"default": "\r\n", "enum": ["\u{0}"]})),
            None
        );
    }

    /// Some text with what nobody sees, somewhere.
    fn holds(value: &Value) -> bool {
        serde_json::to_string(value).is_ok_and(|text| text::deceives(&text))
    }

    proptest! {
        #[test]
        fn what_is_shown_hides_nothing_or_is_refused(value in json_value(), key in "(title|properties|enum|x)[\u{200b}]?") {
            let schema = json!({"properties": {"a": {key: value, "description": UNSEEN}}});
            prop_assert!(deceiving(&schema).is_some() || !holds(&shown(&schema)));
        }
    }
}
