//! What can go wrong in a node.

use std::net::SocketAddr;

use nexus_bus::BusError;
use nexus_store::StoreError;

use crate::ConfigError;

/// Why a service could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its configuration cannot be used.
    #[error("configuration: {0}")]
    Config(String),
    /// Its database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bus refused what it needs.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl ServiceError {
    /// Its configuration cannot be used, and what to change.
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config(message.into())
    }
}

/// Why a node could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The bus cannot be opened, and trying again would not help.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The database cannot be opened, and trying again would not help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address is in use.
    #[error(
        "{address} is in use by another program; stop it, or change `{key}` \
         (port 0 takes any free one)"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
        /// The key that names it.
        key: &'static str,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (`{key}`): {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The key that names it.
        key: &'static str,
        /// What the system said.
        reason: String,
    },
    /// A service could not start.
    #[error("{service} could not start: {source}")]
    Service {
        /// The service.
        service: &'static str,
        /// Why.
        source: ServiceError,
    },
    /// A service claims a path that another one has.
    #[error("{service} claims an HTTP path that another service has, or a malformed one")]
    Routes {
        /// The service.
        service: &'static str,
    },
    /// A service ended the node.
    #[error("{0}")]
    Fatal(String),
}

impl From<ConfigError> for ServiceError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}
