//! How a server is, for people.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Whether a server can be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It is being started, or its tools are being listed.
    Starting,
    /// It can be called.
    Ready,
    /// It ended, or could not be started.
    Failed {
        /// Why, with the last line of its standard error.
        reason: String,
        /// Until it is tried again.
        next_try: Duration,
    },
    /// The configuration no longer has it, or all of this is being shut down.
    Stopped,
}

impl fmt::Display for Health {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => to.write_str("starting"),
            Self::Ready => to.write_str("ready"),
            Self::Failed { next_try, .. } => {
                write!(to, "failed, tried again in {} s", next_try.as_secs().max(1))
            }
            Self::Stopped => to.write_str("stopped"),
        }
    }
}

/// All that is known of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its name in the configuration.
    pub server: String,
    /// Whether it can be called.
    pub health: Health,
    /// Tools that may be used.
    pub approved: usize,
    /// Tools that wait for a person.
    pub pending: usize,
    /// Tools that cannot be offered, and why.
    pub set_aside: Vec<String>,
    /// How often it ended since it was configured.
    pub restarts: u32,
    /// Name and version as the server says, cleaned.
    pub version: Option<String>,
    /// The last lines of its standard error, cleaned and without the secrets it was given.
    pub stderr: Vec<String>,
}
