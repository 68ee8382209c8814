//! What a duration looks like in a configuration file, for JSON Schema.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A duration, as [`crate::config::duration`] reads it: a field of another type names it with
/// `#[schemars(with = "Span")]`.
pub struct Span;

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*([0-9]+\s*(ms|s|m|h|d)\s*)+$",
            "examples": ["250ms", "30s", "5m", "1h30m"],
        })
    }
}
