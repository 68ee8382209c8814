//! What can go wrong inside this service.

use nexus_contracts::ContractError;
use nexus_service_kit::ServiceError;
use nexus_store::StoreError;

/// Why this service could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A message cannot be written.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// An approval cannot be written, or read again.
    #[error("an approval in entry-api's store: {0}")]
    Approval(serde_json::Error),
    /// A row of this service's own tables does not read.
    #[error("column `{column}` of entry-api's store holds `{text}`, which is no id")]
    Corrupt {
        /// The column.
        column: &'static str,
        /// What it holds.
        text: String,
    },
}

impl From<Error> for ServiceError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => Self::Store(error),
            other => Self::Other(other.to_string()),
        }
    }
}
