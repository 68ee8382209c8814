//! What can go wrong on the bus.

/// Why the bus could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// The server cannot be reached or the connection broke; whether the call took effect is not
    /// known. Ask again.
    #[error("bus at {address} is not reachable: {reason}")]
    Unreachable {
        /// The address without credentials.
        address: String,
        /// What the client library said.
        reason: String,
    },
    /// The bus takes no more (memory or disk full, stream at its limit). Nothing was written.
    #[error("bus is full: {reason}; free space or raise its limit, writers keep trying")]
    Full {
        /// What the server said.
        reason: String,
    },
    /// The address or an option cannot be used. Asking again does not help.
    #[error("bus configuration: {0}")]
    Config(String),
    /// A file of the embedded bus is in use by another process, or cannot be opened.
    #[error("bus file {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The server answered something this client does not understand.
    #[error("bus protocol: {0}")]
    Protocol(String),
    /// What a reference points to is gone.
    #[error("blob `{key}` is missing")]
    MissingBlob {
        /// The blob's key.
        key: String,
    },
    /// This handle may only read.
    #[error("the bus was opened read-only; write through the process that owns it")]
    ReadOnly,
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}

impl BusError {
    /// Whether asking again later can help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Full { .. })
    }
}
