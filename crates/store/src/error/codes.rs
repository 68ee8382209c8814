//! What the codes of the databases mean.

use std::error::Error;
use std::io;

use crate::StoreError;
use crate::error::DatabaseError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|error| error.extended_code);
        let class = code.map_or(Class::Refused, of_sqlite);
        class.error(DatabaseError::of(error))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let class = match error.code() {
            Some(code) => of_postgres(code.code()),
            None => of_connection(&error),
        };
        class.error(DatabaseError::of(error))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Busy,
    Unavailable,
    DiskFull,
    Constraint,
    Refused,
}

impl Class {
    const fn error(self, error: DatabaseError) -> StoreError {
        match self {
            Self::Busy => StoreError::Busy(error),
            Self::Unavailable => StoreError::Unavailable(error),
            Self::DiskFull => StoreError::DiskFull(error),
            Self::Constraint => StoreError::Constraint(error),
            Self::Refused => StoreError::Refused(error),
        }
    }
}

/// Result codes of `SQLite` (<https://sqlite.org/rescode.html>); the low byte is the primary one.
const fn of_sqlite(code: i32) -> Class {
    match code & 0xff {
        5 | 6 => Class::Busy,
        13 => Class::DiskFull,
        // I/O error and cannot open: the file system's trouble, which can pass.
        10 | 14 => Class::Unavailable,
        19 => Class::Constraint,
        _ => Class::Refused,
    }
}

/// SQLSTATE codes of `PostgreSQL` (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn of_postgres(code: &str) -> Class {
    match code {
        // serialization failure, deadlock, lock not available, too many connections
        "40001" | "40P01" | "55P03" | "53300" => Class::Busy,
        "53100" => Class::DiskFull,
        // shutdown, crash, starting up; idle transaction ended; its database dropped
        "57P01" | "57P02" | "57P03" | "25P03" => Class::Unavailable,
        _ if code.starts_with("08") => Class::Unavailable,
        _ if code.starts_with("23") => Class::Constraint,
        _ => Class::Refused,
    }
}

/// An error that is not the server's answer.
fn of_connection(error: &tokio_postgres::Error) -> Class {
    let io = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    match io {
        Some(error) if error.kind() == io::ErrorKind::StorageFull => Class::DiskFull,
        Some(_) => Class::Unavailable,
        None if error.is_closed() => Class::Unavailable,
        // The text is the only thing that tells these from a value that cannot be read.
        None if error.to_string().starts_with("error connecting")
            || error.to_string().starts_with("error performing TLS")
            || error.to_string().starts_with("error communicating")
            || error.to_string().starts_with("unexpected message")
            || error.to_string().starts_with("timeout") =>
        {
            Class::Unavailable
        }
        None => Class::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_helps() {
        let sqlite = [5, 517, 13, 778, 2067, 1].map(of_sqlite);
        let expected = [
            Class::Busy,
            Class::Busy,
            Class::DiskFull,
            Class::Unavailable,
            Class::Constraint,
            Class::Refused,
        ];
        assert_eq!(sqlite, expected);
        let postgres = ["40P01", "08006", "53100", "23505", "42P01"].map(of_postgres);
        let expected = [
            Class::Busy,
            Class::Unavailable,
            Class::DiskFull,
            Class::Constraint,
            Class::Refused,
        ];
        assert_eq!(postgres, expected);
    }

    #[test]
    fn a_full_disk_is_named_and_may_be_tried_again() {
        let full = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(13), None);
        let error = StoreError::from(full);
        assert!(matches!(error, StoreError::DiskFull(_)) && error.is_transient());
        assert!(error.to_string().contains("make room"));
    }
}
