//! What can go wrong, sorted by what the caller can do about it.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

/// Why the store could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The address of the store cannot be read.
    #[error(
        "store address `{url}`: {reason}; write `sqlite:<folder>`, `sqlite::memory:` or \
         `postgres://user@host/database`"
    )]
    Url {
        /// The address, without a password.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The folder for the database files cannot be made.
    #[error("store folder `{folder}`: {reason}; make it writable or name another one")]
    Folder {
        /// The folder.
        folder: String,
        /// What the system said.
        reason: String,
    },
    /// The database is there but somebody else holds what is needed. Try again.
    #[error("the database is busy: {0}")]
    Busy(#[source] DbErr),
    /// The database cannot be reached, or the connection broke. Try again.
    #[error("the database cannot be reached: {0}")]
    Unavailable(#[source] DbErr),
    /// No room is left where the database lives. Trying again helps once somebody has made room.
    #[error("the disk of the database is full; make room: {0}")]
    DiskFull(#[source] DbErr),
    /// A unique, foreign or check constraint refused the row.
    #[error("the database refused the row: {0}")]
    Constraint(#[source] DbErr),
    /// The database refused the statement.
    #[error("the database refused a statement: {0}")]
    Refused(#[source] DbErr),
    /// A column is missing, is null, or holds another type.
    #[error("column `{column}` cannot be read: {error}")]
    Column {
        /// The column.
        column: String,
        /// What was wrong.
        #[source]
        error: DbErr,
    },
    /// A statement that does not keep to the organisation it runs under: a programming error.
    #[error("a statement does not keep to its organisation: {reason}: {sql}")]
    NotTenants {
        /// The head of the statement.
        sql: String,
        /// What about it.
        reason: &'static str,
    },
    /// Row-level security would not bind this role of `PostgreSQL`.
    #[error(
        "role `{role}` {what}, so row-level security does not bind it and organisations would not \
         be kept apart. Make two roles, as an administrator: CREATE ROLE nexus_owner LOGIN PASSWORD \
         '…'; CREATE ROLE nexus_app LOGIN PASSWORD '…'; CREATE DATABASE nexus OWNER nexus_owner; \
         then put nexus_app into `store.url` and nexus_owner into `store.owner_url`"
    )]
    Privileged {
        /// The role.
        role: String,
        /// What makes it unfit.
        what: &'static str,
    },
    /// The role that serves could not be made.
    #[error(
        "role `{owner}` owns the tables and cannot make the role `{app}` that is to serve: {error}. \
         As an administrator: CREATE ROLE {app} NOLOGIN; GRANT {app} TO {owner}; or name two roles \
         in `store.url` and `store.owner_url`"
    )]
    NoAppRole {
        /// The role of the address.
        owner: String,
        /// The role it needs.
        app: String,
        /// What the database said.
        #[source]
        error: DbErr,
    },
    /// The tables are not up to date, and this program has no address of a role that may change
    /// that.
    #[error(
        "the tables of {service} ({set}) are missing or old, and the role of `store.url` does not \
         own them: start once with `store.owner_url`"
    )]
    NotMigrated {
        /// The service.
        service: &'static str,
        /// The set of migrations.
        set: &'static str,
    },
    /// Somebody changed what keeps organisations apart.
    #[error(
        "`{table}` {reason}: organisations would not be kept apart. Drop what was added by hand and \
         start once with `store.owner_url`"
    )]
    Unprotected {
        /// The table or view.
        table: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The disk took commits and then refused to keep them.
    #[error(
        "{file} could not be synced: {reason}; the last seconds may not survive a power cut. See to \
         the disk, then restart"
    )]
    NotSynced {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// Values for rows that are not whole: a programming error.
    #[error("{values} values are not rows of {columns} columns")]
    Ragged {
        /// How many values were given.
        values: usize,
        /// How many make a row.
        columns: usize,
    },
    /// A result that does not belong into the ledger.
    #[error("a result of {bytes} bytes is larger than {most}: store a reference to a blob")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size, in bytes.
        most: usize,
    },
    /// The database was written by a newer program.
    #[error(
        "the database of {service} ({set}) has version {found}, and this program knows {known}: \
         run the newer program, or restore the backup made before it ran"
    )]
    Newer {
        /// The service.
        service: &'static str,
        /// The set of migrations.
        set: &'static str,
        /// The version of the database.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// A migration that was applied is not the one this program has.
    #[error(
        "migration {version} ({name}) of {service} ({set}) was changed after it had been applied: \
         released migrations never change; put it back and add a new one"
    )]
    Drifted {
        /// The service.
        service: &'static str,
        /// The set of migrations.
        set: &'static str,
        /// Its version.
        version: u32,
        /// Its name.
        name: &'static str,
    },
    /// Migrations that are not numbered 1, 2, 3 …: a programming error.
    #[error("migration {version} of {service} ({set}) is out of order: number them 1, 2, 3 …")]
    Misnumbered {
        /// The service.
        service: &'static str,
        /// The set of migrations.
        set: &'static str,
        /// The first version that is not where it should be.
        version: u32,
    },
    /// A migration failed and was rolled back.
    #[error("migration {version} ({name}) of {service} failed and was rolled back: {error}")]
    Migration {
        /// The service.
        service: &'static str,
        /// Its version.
        version: u32,
        /// Its name.
        name: &'static str,
        /// What the database said.
        #[source]
        error: Box<Self>,
    },
    /// Other replicas kept making the same rows at the same moment. Try again.
    #[error("other replicas changed the same rows {tries} times in a row")]
    Contended {
        /// How often it was tried.
        tries: usize,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same call may succeed later with nothing changed in the program.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Unavailable(_) | Self::DiskFull(_) | Self::Contended { .. } => {
                true
            }
            Self::Migration { error, .. } => error.is_transient(),
            _ => false,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        let source = match &error {
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => return Self::Busy(error),
            DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => return Self::Closed,
            DbErr::Conn(RuntimeErr::SqlxError(source))
            | DbErr::Exec(RuntimeErr::SqlxError(source))
            | DbErr::Query(RuntimeErr::SqlxError(source)) => source,
            _ => return Self::Refused(error),
        };
        match class_of(source) {
            Class::Busy => Self::Busy(error),
            Class::Unavailable => Self::Unavailable(error),
            Class::DiskFull => Self::DiskFull(error),
            Class::Constraint => Self::Constraint(error),
            Class::Refused => Self::Refused(error),
            Class::Closed => Self::Closed,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::from(DbErr::Conn(RuntimeErr::SqlxError(error.into())))
    }
}

enum Class {
    Busy,
    Unavailable,
    DiskFull,
    Constraint,
    Refused,
    Closed,
}

fn class_of(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::PoolTimedOut => Class::Busy,
        sqlx::Error::PoolClosed => Class::Closed,
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            Class::DiskFull
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Class::Unavailable,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            match error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                Some(_) => class_of_sqlite(&code),
                None => class_of_postgres(&code),
            }
        }
        _ => Class::Refused,
    }
}

/// Result codes of `SQLite` (<https://sqlite.org/rescode.html>); the low byte is the primary one.
fn class_of_sqlite(code: &str) -> Class {
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(5 | 6) => Class::Busy,
        Ok(13) => Class::DiskFull,
        // I/O error and cannot open: the file system's trouble, which can pass.
        Ok(10 | 14) => Class::Unavailable,
        Ok(19) => Class::Constraint,
        _ => Class::Refused,
    }
}

/// SQLSTATE codes of `PostgreSQL` (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn class_of_postgres(code: &str) -> Class {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(class: &Class) -> &'static str {
        match class {
            Class::Busy => "busy",
            Class::Unavailable => "unavailable",
            Class::DiskFull => "full",
            Class::Constraint => "constraint",
            Class::Refused => "refused",
            Class::Closed => "closed",
        }
    }

    #[test]
    fn codes_are_sorted_by_what_helps() {
        let sqlite = [
            ("5", "busy"),
            ("517", "busy"),
            ("13", "full"),
            ("778", "unavailable"),
        ];
        for (code, class) in sqlite
            .into_iter()
            .chain([("2067", "constraint"), ("1", "refused")])
        {
            assert_eq!(name(&class_of_sqlite(code)), class, "{code}");
        }
        let postgres = [
            ("40P01", "busy"),
            ("08006", "unavailable"),
            ("53100", "full"),
        ];
        for (code, class) in postgres
            .into_iter()
            .chain([("23505", "constraint"), ("42P01", "refused")])
        {
            assert_eq!(name(&class_of_postgres(code)), class, "{code}");
        }
    }

    #[test]
    fn a_full_disk_is_named_and_may_be_tried_again() {
        let full = sqlx::Error::Io(std::io::ErrorKind::StorageFull.into());
        let error = StoreError::from(full);
        assert!(matches!(error, StoreError::DiskFull(_)) && error.is_transient());
        assert!(error.to_string().contains("make room"));
    }
}
