//! Configuration: section `entry-api` of `nexus.yaml`.

use std::time::Duration;

use serde::Deserialize;

use crate::outbox::Backoff;

/// Every key, commented; also the defaults.
pub const DEFAULT_CONFIG: &str = include_str!("../config.default.yaml");

/// See `config.default.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The key in the table `control.principals` of whoever asks.
    pub principal: String,
    /// A message unanswered for this long is published again, then after twice as long.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub republish_after: Duration,
    /// The longest wait between two publications.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub republish_at_most: Duration,
    /// How often the bus is asked whether it lost its data.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub incarnation_poll: Duration,
    /// Most messages that wait for the orchestrator to take them.
    pub max_unanswered: usize,
    /// Most requests in one commit.
    pub max_batch: usize,
    /// Most answers taken from the bus at once.
    pub permits: usize,
    /// A delivery silent for this long is handed to another replica.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub lease: Duration,
    /// How long a command waits for what becomes of it before it is answered 202.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub command_wait: Duration,
    /// How long what has ended is kept.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub retention: Duration,
    /// How often what has ended is looked through.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub prune_every: Duration,
    /// The longest `?wait=`.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub max_wait: Duration,
    /// How often a quiet event stream carries a comment.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub heartbeat: Duration,
    /// How often whoever waits looks into the store.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub recheck: Duration,
}

impl Config {
    /// The waits between publications.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Backoff {
            first_ms: millis(self.republish_after),
            longest_ms: millis(self.republish_at_most),
        }
    }
}
