//! Why a search gave nothing.

use std::time::Duration;

/// Why a search gave nothing. No message holds a key, a query or more of an answer than a few words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The query cannot be asked.
    #[error("{0}")]
    BadQuery(String),
    /// Too many questions in a short time; it passes by itself.
    #[error("{engine} wants fewer questions in a short time{}", wait(.retry_after))]
    RateLimited {
        /// Who.
        engine: &'static str,
        /// When to ask again, where it said so.
        retry_after: Option<Duration>,
    },
    /// What was paid for is used up; it does not pass by itself.
    #[error(
        "the quota at {engine} is used up: the operator must buy more or wait for the next period; \
         do without this search"
    )]
    Quota {
        /// Who.
        engine: &'static str,
    },
    /// The key does not open it.
    #[error(
        "{engine} does not accept the key: the operator must set another one; do without this search"
    )]
    Key {
        /// Who.
        engine: &'static str,
    },
    /// It does not answer.
    #[error("{engine} cannot be reached: {reason}; try later")]
    Unreachable {
        /// Who.
        engine: &'static str,
        /// What happened.
        reason: String,
    },
    /// It takes too long.
    #[error("{engine} took longer than {} ms; try later, or a simpler query", .after.as_millis())]
    Timeout {
        /// Who.
        engine: &'static str,
        /// The time that was given.
        after: Duration,
    },
    /// It answers with an error.
    #[error("{engine} answered {status}: {reason}")]
    Status {
        /// Who.
        engine: &'static str,
        /// The HTTP status.
        status: u16,
        /// What it said, in a few words.
        reason: String,
    },
    /// Its answer is not what it should be.
    #[error("the answer of {engine} cannot be read: {reason}")]
    BadAnswer {
        /// Who.
        engine: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The engine is not configured rightly: for the operator.
    #[error("{engine} is not set up: {reason}")]
    Setup {
        /// Who.
        engine: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl SearchError {
    /// The word for it, which does not change.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadQuery(_) => "bad_query",
            Self::RateLimited { .. } => "rate_limited",
            Self::Quota { .. } => "quota",
            Self::Key { .. } => "key",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Status { .. } => "status",
            Self::BadAnswer { .. } => "bad_answer",
            Self::Setup { .. } => "setup",
        }
    }

    /// Whether the same may work a little later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

fn wait(retry_after: &Option<Duration>) -> String {
    retry_after.map_or_else(
        || ": wait before the next one".to_owned(),
        |time| format!(": ask again in {} seconds", time.as_secs()),
    )
}
