//! The tables. Every one but `dispatch` belongs to an organisation.

use nexus_store::Migration;

/// In order; applied ones never change.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "conversations, journal, inbox, outbox, dispatch",
    sqlite: include_str!("schema/0001.sqlite.sql"),
    postgres: include_str!("schema/0001.postgres.sql"),
}];
