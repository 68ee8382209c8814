//! Configuration of the tool executor: section `tool-executor` of `nexus.yaml`.

use std::time::Duration;

use serde::Deserialize;

/// Every key, commented; also the defaults.
pub const DEFAULT_CONFIG: &str = include_str!("../config.default.yaml");

/// See `config.default.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Most tool calls worked on at once.
    pub permits: usize,
    /// A call silent for this long is taken over.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub lease: Duration,
    /// Longest time of a call where the tool names none.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub default_timeout: Duration,
    /// How long results outlive the command's deadline.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub keep_results: Duration,
    /// The tools there are; empty for all.
    pub enabled: Vec<String>,
    /// Tools that are switched off.
    pub disabled: Vec<String>,
}
