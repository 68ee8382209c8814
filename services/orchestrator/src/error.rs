//! What can go wrong in the orchestrator.

use nexus_bus::BusError;
use nexus_contracts::ContractError;
use nexus_store::StoreError;

use crate::core::checkpoint::CheckpointError;
use crate::core::replay::ReplayError;

/// Why a batch of events could not be handled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or is away.
    #[error("orchestrator store: {0}")]
    Store(#[source] StoreError),
    /// The bus refused or is away.
    #[error("orchestrator bus: {0}")]
    Bus(#[from] BusError),
    /// An event could not be written.
    #[error("orchestrator event: {0}")]
    Contract(#[from] ContractError),
    /// A stored row cannot be read.
    #[error("orchestrator row `{row}` cannot be read: {reason}")]
    Row {
        /// Which row.
        row: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A stored state or event cannot be read or written.
    #[error("orchestrator checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A journal does not fold.
    #[error("orchestrator journal: {0}")]
    Replay(#[from] ReplayError),
    /// Another replica changed a conversation meanwhile; load it again.
    #[error("a conversation was changed by another replica")]
    Conflict,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overtaken { .. } => Self::Conflict,
            error => Self::Store(error),
        }
    }
}
