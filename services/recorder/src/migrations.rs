//! The tables. Every one belongs to an organisation.

use nexus_store::Migration;

/// In order; applied ones never change.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "archive, conversations, what was said, runs",
        sqlite: include_str!("sql/0001.sqlite.sql"),
        postgres: include_str!("sql/0001.postgres.sql"),
    },
    Migration {
        version: 2,
        name: "the archive is pruned organisation by organisation",
        sqlite: PRUNED_BY_ORGANISATION,
        postgres: PRUNED_BY_ORGANISATION,
    },
    Migration {
        version: 3,
        name: "owners, titles, branches, summaries, search, tombstones",
        sqlite: include_str!("sql/0003.sqlite.sql"),
        postgres: include_str!("sql/0003.postgres.sql"),
    },
];

const PRUNED_BY_ORGANISATION: &str = "
DROP INDEX archive_at;
CREATE INDEX archive_at ON archive (org_id, at);
";
