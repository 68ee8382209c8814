//! What `SQLite` says, in the words of the bus.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use super::codec::Damaged;
use crate::BusError;

/// What to do about a file that cannot be trusted.
const DAMAGED: &str = "stop the node, then put a copy of the file back, or move the file (with its \
                       -wal and -shm) away: the bus begins empty and the store repeats what is \
                       unanswered";

/// A page that should be there is not.
const SHORT_READ: i32 = rusqlite::ffi::SQLITE_IOERR_SHORT_READ;

/// A failure of `SQLite` on this file.
pub(super) fn failure(path: &Path, error: &Error) -> BusError {
    let reason = error.to_string();
    let Some(code) = error.sqlite_error_code() else {
        // Wrong types, missing rows, sequences that do not decode: the content is not ours.
        return damaged(path, &reason);
    };
    if error
        .sqlite_error()
        .is_some_and(|e| e.extended_code == SHORT_READ)
    {
        return damaged(path, "it is cut short");
    }
    match code {
        ErrorCode::DiskFull => BusError::Full {
            reason: format!("{}: {reason}", path.display()),
        },
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::SystemIoFailure
        | ErrorCode::OutOfMemory => BusError::Unreachable {
            address: format!("embedded:{}", path.display()),
            reason,
        },
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => file(
            path,
            format!("{reason}; check that this user may read and write it"),
        ),
        // A missing table is as bad as a malformed page.
        _ => damaged(path, &reason),
    }
}

/// The content cannot be trusted.
pub(super) fn damaged(path: &Path, reason: &str) -> BusError {
    file(path, format!("the file is damaged ({reason}); {DAMAGED}"))
}

/// The file cannot be used.
pub(super) fn file(path: &Path, reason: impl Into<String>) -> BusError {
    BusError::File {
        path: path.display().to_string(),
        reason: reason.into(),
    }
}

impl From<Damaged> for Error {
    fn from(damaged: Damaged) -> Self {
        Self::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(damaged))
    }
}
