//! What can go wrong, sorted by what the caller can do about it.

mod codes;

use std::fmt;
use std::sync::Arc;

type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// What the database, or its client, said.
#[derive(Clone, Debug)]
pub struct DatabaseError(Cause);

impl DatabaseError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        let cause: Box<dyn std::error::Error + Send + Sync> = reason.into().into();
        Self(cause.into())
    }

    pub(crate) fn of(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

/// With its causes: tokio-postgres says no more than "db error" itself.
impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for DatabaseError {}

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
    /// The address of a `PostgreSQL` cannot be used.
    #[error("store address `{url}`: {reason}")]
    PostgresUrl {
        /// The address, without a password.
        url: String,
        /// What is wrong with it, without the address.
        reason: String,
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
    Busy(#[source] DatabaseError),
    /// The database cannot be reached, or the connection broke. Try again.
    #[error("the database cannot be reached: {0}")]
    Unavailable(#[source] DatabaseError),
    /// No room is left where the database lives. Trying again helps once somebody has made room.
    #[error("the disk of the database is full; make room: {0}")]
    DiskFull(#[source] DatabaseError),
    /// A unique, foreign or check constraint refused the row.
    #[error("the database refused the row: {0}")]
    Constraint(#[source] DatabaseError),
    /// The database refused the statement.
    #[error("the database refused a statement: {0}")]
    Refused(#[source] DatabaseError),
    /// A column is missing, is null, or holds another type.
    #[error("column `{column}` cannot be read: {reason}")]
    Column {
        /// The column.
        column: String,
        /// What was wrong.
        reason: String,
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
        error: DatabaseError,
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
    /// Rows that had to be changed were not: somebody else was there first. Nothing was committed;
    /// read again and try again.
    #[error(
        "{changed} of {expected} rows were changed: somebody else changed the others meanwhile"
    )]
    Overtaken {
        /// How many had to be changed.
        expected: u64,
        /// How many were.
        changed: u64,
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
            Self::Busy(_)
            | Self::Unavailable(_)
            | Self::DiskFull(_)
            | Self::Contended { .. }
            | Self::Overtaken { .. } => true,
            Self::Migration { error, .. } => error.is_transient(),
            _ => false,
        }
    }
}
