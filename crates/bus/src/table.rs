//! Tables: latest value per key, versioned, watchable, compare-and-set.

use bytes::Bytes;

/// Which value of a key. Two are comparable only within one incarnation of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableVersion {
    /// Made with the table and lost with its data. A new one is not a deletion: readers keep their
    /// copy until the table's owner puts it again.
    pub incarnation: String,
    /// Grows with every change of the table.
    pub n: u64,
}

/// A value and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The key; any UTF-8.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// Its version.
    pub version: TableVersion,
}

/// What must hold for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// The key has no value.
    Absent,
    /// The key has this version.
    Version(TableVersion),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// Written, with this version.
    Stored(TableVersion),
    /// Not written; this is what is there.
    Conflict(Option<Versioned>),
}

/// What a watcher sees: first every value there is as `Put`, then `Ready`, then each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableChange {
    /// A value was set.
    Put(Versioned),
    /// A value was deleted.
    Deleted {
        /// The key.
        key: String,
    },
    /// Everything there was when watching began (or began again) has been sent.
    Ready,
}
