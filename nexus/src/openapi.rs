//! The one description of all HTTP interfaces that a node with every service has.

use serde_json::Value;

use crate::exit::Failure;

/// The document, as it is committed at `docs/openapi.json`.
///
/// # Errors
/// Only when it cannot be written as JSON.
pub fn document() -> Result<Value, Failure> {
    let mut document = nexus_entry_api::openapi();
    document.merge(nexus_recorder::openapi());
    document.merge(nexus_provider_router::openapi());
    document.merge(nexus_tool_executor::openapi());
    serde_json::to_value(&document).map_err(Failure::failed)
}
