//! Configuration of the recorder: section `recorder` of `nexus.yaml`.

use std::time::Duration;

use serde::Deserialize;

/// Every key, commented; also the defaults.
pub const DEFAULT_CONFIG: &str = include_str!("../config.default.yaml");

/// See `config.default.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Adapters of ours.
    pub adapters: Vec<String>,
    /// External clients.
    pub clients: Vec<String>,
    /// Most messages of one channel taken at a time.
    pub permits: usize,
    /// Most messages in one commit.
    pub batch: usize,
    /// A delivery silent for this long is handed to another replica.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub lease: Duration,
    /// How long messages are kept in the archive, at most.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub retention: Duration,
}
