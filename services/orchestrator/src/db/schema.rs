//! The tables. Every one but `dispatch` and `bus_incarnation` belongs to an organisation.

use nexus_store::{Migration, Schema};

/// The tables, and those that belong to no organisation: they hold no content.
pub const SCHEMA: Schema = Schema::new(MIGRATIONS).exempt(&["dispatch", "bus_incarnation"]);

/// In order; applied ones never change.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "conversations, journal, inbox, outbox, dispatch",
        sqlite: include_str!("schema/0001.sqlite.sql"),
        postgres: include_str!("schema/0001.postgres.sql"),
    },
    Migration {
        version: 2,
        name: "snapshots, environments, keepers",
        sqlite: include_str!("schema/0002.sqlite.sql"),
        postgres: include_str!("schema/0002.postgres.sql"),
    },
    Migration {
        version: 3,
        name: "answers apart, and fewer pages for each event",
        sqlite: include_str!("schema/0003.sqlite.sql"),
        postgres: include_str!("schema/0003.postgres.sql"),
    },
];
