//! The tables of this service besides the ledger.

use nexus_store::Migration;

/// The name of the set.
pub const SET: &str = "tools";

/// In order; what was released is never changed.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "switches, quotas and approved tools of MCP servers",
        sqlite: TABLES,
        postgres: TABLES,
    },
    Migration {
        version: 2,
        name: "which calls were counted",
        sqlite: COUNTED,
        postgres: COUNTED,
    },
];

// `tool_switch` names what is switched off; `scope` is a conversation, or empty for all of the
// organisation's. `tool_quota` counts the calls of one window of time, which begins at `began`.
// `mcp_pin` holds the definitions that were approved, as JSON.
const TABLES: &str = "
CREATE TABLE tool_switch (
    org_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    tool TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (org_id, scope, tool)
);
CREATE TABLE tool_quota (
    org_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    began BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (org_id, tool)
);
CREATE TABLE mcp_pin (
    org_id TEXT NOT NULL,
    server TEXT NOT NULL,
    known TEXT NOT NULL,
    PRIMARY KEY (org_id, server)
);
";

// A call is counted once, whoever begins it again.
const COUNTED: &str = "
CREATE TABLE tool_quota_call (
    org_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (org_id, tool, id)
);
";
