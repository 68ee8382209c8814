//! What can go wrong in the recorder.

use nexus_store::StoreError;

/// Why something could not be recorded or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or is away.
    #[error("recorder store: {0}")]
    Store(#[from] StoreError),
    /// A stored row cannot be read.
    #[error("recorder row of `{table}` cannot be read: {reason}")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}
