//! The tables. Every one belongs to an organisation.

use nexus_store::Migration;

/// In order; applied ones never change.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "documents, chunks, memories",
        sqlite: include_str!("sql/0001.sqlite.sql"),
        postgres: include_str!("sql/0001.postgres.sql"),
    },
    Migration {
        version: 2,
        name: "privacy of documents and memories",
        sqlite: PRIVACY,
        postgres: PRIVACY,
    },
    Migration {
        version: 3,
        name: "spaces that are being dropped",
        sqlite: DROPPING,
        postgres: DROPPING,
    },
];

/// What it says of what is said again in an open conversation no longer holds: that is kept beside it.
const PRIVACY: &str = include_str!("sql/0002.sql");
const DROPPING: &str = include_str!("sql/0003.sql");
