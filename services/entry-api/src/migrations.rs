//! The tables of this service.

use nexus_store::Migration;

/// In order; what was released is never changed.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "messages",
    sqlite: SQLITE_1,
    postgres: POSTGRES_1,
}];

// `message` is written once and never changed; `answer` holds the end of a run, the first one
// wins; `dispatch` names what the orchestrator has not answered yet: payload-free and read across
// organisations. Status: an answer -> its ending; a dispatch row -> queued; otherwise running.
const SQLITE_1: &str = "
CREATE TABLE message (
    org_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    payload BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, run_id)
);
CREATE TABLE conversation (
    org_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    PRIMARY KEY (org_id, conversation_id)
) WITHOUT ROWID;
CREATE TABLE answer (
    org_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    ending TEXT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (org_id, run_id)
);
CREATE TABLE dispatch (
    org_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (org_id, run_id, kind)
) WITHOUT ROWID;
";

const POSTGRES_1: &str = "
CREATE TABLE message (
    org_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    payload BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, run_id)
);
CREATE TABLE conversation (
    org_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    PRIMARY KEY (org_id, conversation_id)
);
CREATE TABLE answer (
    org_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    ending TEXT NOT NULL,
    payload BYTEA NOT NULL,
    PRIMARY KEY (org_id, run_id)
);
CREATE TABLE dispatch (
    org_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (org_id, run_id, kind)
);
";
