//! The committed description of the HTTP interface is the one the services have.

use std::path::Path;

/// To bring it up to date: `cargo run -- schema --openapi > docs/openapi.json`.
#[test]
fn the_committed_description_is_up_to_date() -> anyhow::Result<()> {
    let path = Path::new("../docs/openapi.json");
    let committed: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let current = nexus::openapi::document()?;
    assert_eq!(
        committed, current,
        "run: cargo run -- schema --openapi > docs/openapi.json"
    );
    for path in [
        "/v1/messages",
        "/v1/messages/{correlation_id}/events",
        "/v1/conversations",
        "/v1/inbox",
        "/v1/inbox/{id}/answer",
    ] {
        assert!(
            current["paths"][path].is_object(),
            "{path} is not described"
        );
    }
    Ok(())
}
