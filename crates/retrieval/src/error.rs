//! What can go wrong, and what to do about it.

use nexus_store::StoreError;

/// Why something could not be stored, found or deleted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error("the database of documents and memories: {0}")]
    Store(#[from] StoreError),
    /// Nothing to store.
    #[error("{what} holds no text; give it some, or leave it out")]
    Empty {
        /// What is empty.
        what: &'static str,
    },
    /// Longer than is taken.
    #[error("{what} has {bytes} bytes, and at most {most} are taken; {advice}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its size, in bytes.
        bytes: usize,
        /// The largest size, in bytes.
        most: usize,
        /// What helps.
        advice: &'static str,
    },
    /// More than an organisation, a document or a person may have.
    #[error("{what}: {count}, and at most {most} are kept; {advice}")]
    TooMany {
        /// What there would be too many of.
        what: &'static str,
        /// How many there would be.
        count: usize,
        /// The most there may be.
        most: usize,
        /// What helps.
        advice: &'static str,
    },
    /// The runtime is shutting down, or its work ended early.
    #[error("the work was interrupted: {0}; try again")]
    Interrupted(String),
}

impl Error {
    /// Whether the same call may succeed later with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Interrupted(_) => true,
            Self::Empty { .. } | Self::TooLong { .. } | Self::TooMany { .. } => false,
        }
    }
}
