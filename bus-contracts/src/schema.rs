//! The contracts in the form others read: JSON Schema and AsyncAPI 3.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{CATALOGUE, Metadata};

/// JSON Schema (2020-12) of every payload and of the metadata, by file name without extension.
#[must_use]
pub fn json_schemas() -> BTreeMap<String, Value> {
    let mut schemas: BTreeMap<String, Value> = CATALOGUE
        .iter()
        .map(|spec| {
            let name = format!("{}.v{}", spec.event_type, spec.version);
            (name, (spec.schema)().to_value())
        })
        .collect();
    schemas.insert(
        "metadata".to_owned(),
        schemars::schema_for!(Metadata).to_value(),
    );
    schemas.insert(
        "live".to_owned(),
        schemars::schema_for!(crate::live::LiveEvent).to_value(),
    );
    schemas
}

/// The AsyncAPI 3 document: channels, messages with their headers (the flat fields), and payloads
/// by reference to the JSON Schemas beside it.
#[must_use]
pub fn asyncapi() -> Value {
    let mut channels = Map::new();
    let mut messages = Map::new();
    for spec in CATALOGUE {
        let payload = format!("json-schema/{}.v{}.json", spec.event_type, spec.version);
        messages.insert(
            spec.event_type.to_owned(),
            json!({
                "name": spec.event_type,
                "headers": { "$ref": "#/components/schemas/fields" },
                "payload": { "$ref": payload },
            }),
        );
        let channel = channels
            .entry(spec.channel)
            .or_insert_with(|| json!({ "address": spec.channel, "messages": {} }));
        if let Some(Value::Object(list)) = channel.get_mut("messages") {
            let reference = format!("#/components/messages/{}", spec.event_type);
            list.insert(spec.event_type.to_owned(), json!({ "$ref": reference }));
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Nexus",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Channels and events of Nexus. Adapters and clients append their name \
                            to requests.incoming and requests.processed. Any client may write \
                            JSON and leave out all fields but `type` and `payload`.",
        },
        "defaultContentType": "application/msgpack",
        "channels": channels,
        "components": { "messages": messages, "schemas": { "fields": fields_schema() } },
    })
}

fn fields_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type"],
        "properties": {
            "id": { "type": "string", "minLength": 1, "maxLength": crate::ids::MAX_ID_BYTES },
            "type": { "type": "string" },
            "correlation_id": { "type": "string", "maxLength": crate::ids::MAX_ID_BYTES },
            "timestamp": { "type": "string", "format": "date-time" },
            "content_type": { "enum": ["application/msgpack", "application/json"] },
            "traceparent": { "type": "string" },
            "metadata": { "type": "string", "description": "JSON text, see json-schema/metadata.json" },
        },
    })
}
