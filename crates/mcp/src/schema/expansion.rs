//! How large a schema is once its references are written out.
//!
//! A few kilobytes can refer to each other such that compiling or checking them takes for ever,
//! and what runs on a thread cannot be stopped. So a schema is measured before it is compiled.

use serde_json::Value;

/// Parts of a written-out schema.
const MOST_PARTS: usize = 20_000;
/// Nesting, references followed.
const DEEPEST: usize = 200;

/// What there is to know before compiling.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expansion {
    /// Some part is described in terms of itself.
    pub(super) refers_to_itself: bool,
}

/// Measures `schema`.
///
/// # Errors
/// Why it is not to be compiled.
pub(super) fn measure(schema: &Value) -> Result<Expansion, String> {
    let mut walk = Walk {
        root: schema,
        free: MOST_PARTS,
        within: Vec::new(),
        found: Expansion::default(),
    };
    walk.part(schema, 0)?;
    Ok(walk.found)
}

struct Walk<'a> {
    root: &'a Value,
    free: usize,
    /// The references being followed.
    within: Vec<&'a str>,
    found: Expansion,
}

impl<'a> Walk<'a> {
    fn part(&mut self, part: &'a Value, depth: usize) -> Result<(), String> {
        self.free = self
            .free
            .checked_sub(1)
            .ok_or("it is too large once its references are followed")?;
        if depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        match part {
            Value::Array(items) => items.iter().try_for_each(|item| self.part(item, depth + 1)),
            Value::Object(map) => map.iter().try_for_each(|(key, value)| match value {
                Value::String(text) => self.word(key, text, depth),
                other => self.part(other, depth + 1),
            }),
            _ => Ok(()),
        }
    }

    fn word(&mut self, key: &str, text: &'a str, depth: usize) -> Result<(), String> {
        match key {
            "$ref" => self.reference(text, depth),
            // Both change what a reference means, after which it cannot be followed here.
            "$dynamicRef" | "$recursiveRef" => Err(format!("it uses `{key}`")),
            "$id" if depth > 0 => Err("a part of it has an `$id` of its own".to_owned()),
            "$schema" if text.contains("draft-04") || text.contains("draft-03") => {
                Err("it is written for a draft of JSON Schema before 6".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn reference(&mut self, text: &'a str, depth: usize) -> Result<(), String> {
        let target = text
            .strip_prefix('#')
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let target = target.and_then(|pointer| self.root.pointer(pointer));
        let target = target.ok_or("it refers to something outside itself, which is not fetched")?;
        if self.within.contains(&text) {
            self.found.refers_to_itself = true;
            return Ok(());
        }
        self.within.push(text);
        self.part(target, depth + 1)?;
        self.within.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::definition::tests::json_value;

    #[test]
    fn ordinary_schemas_pass_and_those_in_circles_are_known() {
        let plain = json!({
            "$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://a.example/x",
            "type": "object", "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {"type": "string", "enum": ["x", "y"]}},
        });
        assert_eq!(
            measure(&plain),
            Ok(Expansion {
                refers_to_itself: false
            })
        );
        let tree = json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
        assert_eq!(
            measure(&tree),
            Ok(Expansion {
                refers_to_itself: true
            })
        );
    }

    #[test]
    fn what_cannot_be_followed_or_grows_without_measure_is_refused() {
        let mut defs = serde_json::Map::new();
        for n in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            defs.insert(format!("d{n}"), json!({"allOf": [next.clone(), next]}));
        }
        defs.insert("d40".to_owned(), json!(true));
        for bad in [
            json!({"$ref": "#/$defs/d0", "$defs": defs}),
            json!({"$ref": "https://a.example/schema"}),
            json!({"$ref": "#anchor"}),
            json!({"items": {"$dynamicRef": "#x"}}),
            json!({"properties": {"a": {"$id": "https://b.example/", "$ref": "#/x"}}}),
        ] {
            assert!(measure(&bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_json_breaks_it(value in json_value()) {
            let _ = measure(&value);
        }
    }
}
