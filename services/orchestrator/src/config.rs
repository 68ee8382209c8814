//! Configuration of the orchestrator: section `orchestrator` of `nexus.yaml`.

use std::time::Duration;

use serde::Deserialize;

use crate::core::Limits;

/// Every key, commented; also the defaults.
pub const DEFAULT_CONFIG: &str = include_str!("../config.default.yaml");

/// See `config.default.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Adapters of ours: they say for whom they ask and confirm what they received.
    pub adapters: Vec<String>,
    /// External clients: they ask for the principal `client:<name>`.
    pub clients: Vec<String>,
    /// The operator's instructions to the model.
    pub system_prompt: String,
    /// Most model calls of a run.
    pub max_steps: u32,
    /// Most tool calls of one step.
    pub max_parallel_tools: usize,
    /// Longest time from the start of a run to its end.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub run_timeout: Duration,
    /// Most messages waiting behind a running one.
    pub max_queued: usize,
    /// Most past messages a model gets to see.
    pub max_context_messages: usize,
    /// Most events in one commit.
    pub batch: usize,
    /// A delivery silent for this long is handed to another replica.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub lease: Duration,
    /// A message unanswered for this long is published again, then after twice as long.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub resend_after: Duration,
    /// How often due messages and timers are looked for.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub sweep_interval: Duration,
    /// How long inbox rows and delivered answers are kept to recognise repetitions.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub retention: Duration,
    /// How the service is broken on purpose.
    #[cfg(feature = "mutants")]
    #[serde(default)]
    pub mutant: Option<crate::mutant::Mutant>,
}

/// The client whose channels carry no name.
pub const LOCAL_CLIENT: &str = "local";

impl Config {
    /// What the core is bounded by.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            max_steps: self.max_steps,
            max_parallel_tools: self.max_parallel_tools,
            run_timeout_ms: i64::try_from(self.run_timeout.as_millis()).unwrap_or(i64::MAX),
            max_queued: self.max_queued,
            max_context_messages: self.max_context_messages,
        }
    }
}
