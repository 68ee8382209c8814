//! The tools that were offered: by name, by likeness, and what their schemas say.

use serde_json::Value;

use super::json::Repairs;
use super::words::{Reason, Repair};
use super::{MAX_NAME_BYTES, Tool};

/// Namespaces that some models put before the name of a tool.
const NAMESPACES: [&str; 3] = ["functions.", "default_api.", "tools."];

/// Most edits between a name and one that may have been meant.
const LIKE: usize = 3;

#[derive(Debug)]
pub(super) struct Tools<'a>(pub(super) &'a [Tool<'a>]);

impl<'a> Tools<'a> {
    fn exactly(&self, name: &str) -> Option<&Tool<'a>> {
        self.0.iter().find(|tool| tool.name == name)
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.find(name, &mut Repairs::new()).is_some()
    }

    /// The tool of this name, with or without a namespace.
    fn find(&self, name: &str, repairs: &mut Repairs) -> Option<&Tool<'a>> {
        let bare = || NAMESPACES.iter().find_map(|space| name.strip_prefix(space));
        if let Some(tool) = self.exactly(name) {
            return Some(tool);
        }
        let tool = self.exactly(bare()?)?;
        repairs.insert(Repair::NamePrefix);
        Some(tool)
    }

    /// # Errors
    /// [`Reason::UnknownTool`] with the nearest name.
    pub(super) fn get(&self, name: &str, repairs: &mut Repairs) -> Result<&Tool<'a>, Reason> {
        self.find(name, repairs).ok_or_else(|| Reason::UnknownTool {
            name: shortened(name),
            nearest: self.nearest(name).map(str::to_owned),
        })
    }

    /// The name that this one may have been meant as. (`registry::nearest` of the router could stand
    /// here; this one is stricter, as it decides too whether JSON in prose is worth a word.)
    pub(super) fn nearest(&self, name: &str) -> Option<&'a str> {
        let names = self.0.iter().map(|tool| tool.name);
        let like = names.filter_map(|known| {
            let most = LIKE.min(known.len() / 2);
            let lengths = known.len().abs_diff(name.len());
            if lengths > most || known.len() > MAX_NAME_BYTES {
                return None;
            }
            let edits = edits(name.as_bytes(), known.as_bytes());
            (edits <= most).then_some((edits, known))
        });
        like.min().map(|(_, known)| known)
    }
}

/// Of a name for an error.
fn shortened(name: &str) -> String {
    let mut length = 0;
    name.chars()
        .take_while(|char| {
            length += char.len_utf8();
            length <= MAX_NAME_BYTES
        })
        .collect()
}

/// How many letters have to be put in, taken out or replaced (Levenshtein).
fn edits(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.iter().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, against) in row.iter_mut().skip(1).zip(other) {
            let replaced = diagonal + usize::from(!letter.eq_ignore_ascii_case(against));
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

impl Tool<'_> {
    /// The first argument that must be given and is not.
    pub(super) fn lacks(&self, given: &serde_json::Map<String, Value>) -> bool {
        let required = self.parameters.get("required").and_then(Value::as_array);
        let mut names = required.into_iter().flatten().filter_map(Value::as_str);
        names.any(|name| !given.contains_key(name))
    }

    /// The types that an argument may have, sorted; empty where the schema does not say.
    pub(super) fn types(&self, argument: &str) -> Vec<&str> {
        let schema = self.parameters.get("properties");
        let mut types = Vec::new();
        if let Some(schema) = schema.and_then(|all| all.get(argument)) {
            collect(schema, &mut types);
            for several in ["anyOf", "oneOf"] {
                let schemas = schema.get(several).and_then(Value::as_array);
                for schema in schemas.into_iter().flatten() {
                    collect(schema, &mut types);
                }
            }
        }
        types.sort_unstable();
        types.dedup();
        types
    }
}

fn collect<'s>(schema: &'s Value, types: &mut Vec<&'s str>) {
    match schema.get("type") {
        Some(Value::String(one)) => types.push(one),
        Some(Value::Array(several)) => types.extend(several.iter().filter_map(Value::as_str)),
        _ => {}
    }
}
