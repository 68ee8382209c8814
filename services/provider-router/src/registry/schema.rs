//! The JSON Schema of `providers.yaml`, for editors: derived from the types that read the file.
//!
//! It says what one value may be. What only holds between several (that a route names a provider there is)
//! the parser alone knows. A type that is read from a text or a number has its shape here, and a field names
//! it with `#[schemars(with = "…")]`.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde_json::Value;

use super::file::{Kind, ProvidersFile};
use super::models::{Described, Model};
use crate::provider::TYPES;

/// JSON Schema (2020-12) of the whole file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schema_for!(ProvidersFile);
    schema.insert("title".to_owned(), "providers.yaml of Nexus".into());
    let mut value = schema.to_value();
    forget_nulls(&mut value);
    value
}

/// "Nothing" is no default that anybody should write.
fn forget_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| name != "default" || !value.is_null());
            fields.values_mut().for_each(forget_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(forget_nulls),
        _ => {}
    }
}

/// What stands in a field of another type.
macro_rules! shape {
    ($(#[$doc:meta])* $name:ident, $schema:tt) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

shape!(
    /// US dollars.
    Dollars,
    { "type": "number", "minimum": 0 }
);

shape!(
    /// The name of a provider or route.
    Name,
    { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" }
);

shape!(
    /// The name of an environment variable.
    Variable,
    { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }
);

/// One of the words of an enum, as the key of a map. With its descriptions an enum is a list of constants,
/// which `schemars` does not take for the keys that a map can have.
pub(crate) struct Word<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Word_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let schema = T::json_schema(generator);
        let each = schema.get("oneOf").and_then(Value::as_array);
        let words = each.into_iter().flatten();
        let words: Vec<&Value> = words.filter_map(|word| word.get("const")).collect();
        json_schema!({ "type": "string", "enum": words })
    }
}

impl JsonSchema for Kind {
    fn schema_name() -> Cow<'static, str> {
        "Type".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let known: Vec<&str> = TYPES.iter().map(|kind| kind.name).collect();
        json_schema!({ "type": "string", "enum": known })
    }
}

impl JsonSchema for Model {
    fn schema_name() -> Cow<'static, str> {
        "Model".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A model: its name alone, or what is known about it.",
            "anyOf": [
                { "type": "string", "pattern": r"\S" },
                Described::json_schema(generator),
            ],
        })
    }
}
