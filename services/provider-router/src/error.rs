//! What keeps the provider router from starting.

use nexus_service_kit::{ConfigError, ServiceError};

use crate::provider::ProviderFailure;

/// Why the providers cannot be set up. Each says what to change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}; see `provider_router.providers_file`")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what it should be; with line and nearest known key.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting of a provider cannot be used.
    #[error("provider `{provider}`: {reason}")]
    Settings {
        /// The provider.
        provider: String,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    pub(crate) fn settings(provider: &str, failure: &ProviderFailure) -> Self {
        Self::Settings {
            provider: provider.to_owned(),
            reason: failure.to_string(),
        }
    }
}

impl From<Error> for ServiceError {
    fn from(error: Error) -> Self {
        Self::config(error.to_string())
    }
}
