//! The tables. Every one belongs to an organisation.

use nexus_store::Migration;

/// In order; applied ones never change.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "archive, conversations, what was said, runs",
    sqlite: include_str!("sql/0001.sqlite.sql"),
    postgres: include_str!("sql/0001.postgres.sql"),
}];
