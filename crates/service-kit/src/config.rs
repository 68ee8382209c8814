//! Configuration: layered YAML, checked in full before anything is opened.
//!
//! Layers, later ones above earlier ones: the defaults embedded by each service, the file, the
//! environment (`NEXUS__SECTION__KEY`), overrides from the command line (`section.key=value`).

mod duration_text;
mod env;
mod error;
mod node;
mod source;
mod span;
pub mod yaml;

/// Durations as texts such as `250ms`, `30s`, `5m`, `1h30m`, `7d`: for `#[serde(with = …)]`.
pub mod duration {
    pub use super::duration_text::{deserialize, parse, serialize};
}

#[cfg(test)]
mod tests;

pub use env::{config_file, log_filter};
pub use error::{ConfigError, Origin};
pub use node::{ListenConfig, LogConfig, NodeConfig, Retention, RetentionConfig};
pub use source::{ConfigSource, NODE_SECTIONS, SERVICE_SECTIONS};
pub use span::Span;
