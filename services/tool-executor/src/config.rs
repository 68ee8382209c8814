//! Configuration of the tool executor: section `tool-executor` of `nexus.yaml`.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_contracts::tool::CallLimits;
use nexus_service_kit::breaker::BreakerPolicy;
use serde::Deserialize;

use crate::knowledge::KnowledgeConfig;
use crate::mcp::McpConfig;
use crate::quota::Quota;
use crate::tools::execute_code::Code;
use crate::web::WebConfig;

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
    /// Most bytes of a result that a model sees at once where the tool names no other number.
    pub output_limit: u64,
    /// Most bytes of a result that are kept.
    pub keep_bytes: usize,
    /// When a tool is left alone.
    pub breaker: BreakerPolicy,
    /// How often an organisation may call a tool; `*` for each that is not named.
    pub quotas: BTreeMap<String, Quota>,
    /// How code is run.
    pub code: Code,
    /// What an organisation knows.
    pub knowledge: KnowledgeConfig,
    /// MCP servers.
    pub mcp: McpConfig,
    /// How tools reach the web.
    pub web: WebConfig,
    /// How long results outlive the command's deadline.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub keep_results: Duration,
    /// The tools there are; empty for all.
    pub enabled: Vec<String>,
    /// Tools that are switched off.
    pub disabled: Vec<String>,
}

impl Config {
    /// What a call may take where its tool names no limits of its own.
    #[must_use]
    pub fn call_limits(&self) -> CallLimits {
        CallLimits {
            timeout_ms: u64::try_from(self.default_timeout.as_millis()).unwrap_or(u64::MAX),
            output_bytes: self.output_limit,
        }
    }
}
