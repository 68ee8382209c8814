//! Live streams: what goes on now. Lossy by design, resumable for minutes.

use bytes::Bytes;

/// How many entries a live stream keeps.
pub const LIVE_CAPACITY: usize = 1024;

/// How long a live stream is kept after its last entry, in seconds.
pub const LIVE_TTL_SECONDS: u64 = 600;

/// One report on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveEntry {
    /// Stands for everything before it: a reader that missed something starts here.
    pub snapshot: bool,
    /// What it says.
    pub data: Bytes,
}

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveItem {
    /// A report.
    Entry {
        /// Counts the topic's entries from 1.
        sequence: u64,
        /// Whether it stands for everything before it.
        snapshot: bool,
        /// What it says.
        data: Bytes,
    },
    /// Something before the next entry is gone for this reader. [`crate::Bus`] drops what follows
    /// until an entry with `snapshot`.
    Gap,
}
