//! Configuration of the provider router: section `provider-router` of `nexus.yaml`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::cache::CacheConfig;
use crate::retry::RetryPolicy;

/// Every key, commented; also the defaults.
pub const DEFAULT_CONFIG: &str = include_str!("../config.default.yaml");

/// See `config.default.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The providers; see [`crate::registry::file::ProvidersFile::load`] for what counts without.
    pub providers_file: Option<PathBuf>,
    /// How often that file is looked at.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub reload_every: Duration,
    /// How many calls run at once.
    pub permits: usize,
    /// A command whose worker is silent for this long goes to another.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub lease: Duration,
    /// Tried more often than this, a command runs once alone.
    pub max_attempts: u32,
    /// A command that names no deadline has this long.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub timeout: Duration,
    /// When to try again.
    pub retries: RetryPolicy,
    /// How long results are kept, counted from the command's deadline.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub ledger_retention: Duration,
    /// Answers that will do again.
    pub cache: CacheConfig,
}
