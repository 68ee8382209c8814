//! The tables of this service.

use nexus_store::{Migration, Schema};

/// The tables, and the one that is read across organisations.
pub const SCHEMA: Schema = Schema::new(MIGRATIONS).exempt(&["dispatch"]);

/// In order; what was released is never changed.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "messages",
        sqlite: SQLITE_1,
        postgres: POSTGRES_1,
    },
    Migration {
        version: 2,
        name: "every event to the orchestrator, approvals, erasure",
        sqlite: SQLITE_2,
        postgres: POSTGRES_2,
    },
];

// `message` is written once and never changed; `answer` holds what became of it, the first one
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

// Not only messages are kept until they are answered, but everything that is asked of the
// orchestrator, each under the run it starts or would start. Wishes to cancel had no row of their
// own before: what is left of them is dropped, and the runs they meant end at their deadline.
// `conversation` said which conversations were opened here; the orchestrator is asked instead.
const SQLITE_2: &str = "
DROP TABLE conversation;
ALTER TABLE message ADD COLUMN event_type TEXT NOT NULL DEFAULT 'message.submitted';
ALTER TABLE message ADD COLUMN parent_id TEXT;
ALTER TABLE message ADD COLUMN about_run TEXT;
ALTER TABLE message ADD COLUMN approval_id TEXT;
CREATE INDEX message_conversation ON message (org_id, conversation_id);
CREATE INDEX message_approval ON message (org_id, approval_id) WHERE approval_id IS NOT NULL;
ALTER TABLE answer ADD COLUMN stored_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE dispatch RENAME TO dispatch_1;
CREATE TABLE dispatch (
    org_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (org_id, run_id)
) WITHOUT ROWID;
INSERT INTO dispatch SELECT org_id, run_id, seq FROM dispatch_1 WHERE kind = 'message';
DROP TABLE dispatch_1;
CREATE TABLE approval (
    org_id TEXT NOT NULL,
    approval_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    payload BLOB NOT NULL,
    asked_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, approval_id)
);
CREATE INDEX approval_user ON approval (org_id, user_id, asked_at, approval_id);
CREATE INDEX approval_run ON approval (org_id, run_id);
CREATE TABLE erased (
    org_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    user_id TEXT,
    erased_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, conversation_id)
) WITHOUT ROWID;
";

const POSTGRES_2: &str = "
DROP TABLE conversation;
ALTER TABLE message ADD COLUMN event_type TEXT NOT NULL DEFAULT 'message.submitted';
ALTER TABLE message ADD COLUMN parent_id TEXT;
ALTER TABLE message ADD COLUMN about_run TEXT;
ALTER TABLE message ADD COLUMN approval_id TEXT;
CREATE INDEX message_conversation ON message (org_id, conversation_id);
CREATE INDEX message_approval ON message (org_id, approval_id) WHERE approval_id IS NOT NULL;
ALTER TABLE answer ADD COLUMN stored_at BIGINT NOT NULL DEFAULT 0;
DELETE FROM dispatch WHERE kind <> 'message';
ALTER TABLE dispatch DROP CONSTRAINT dispatch_pkey;
ALTER TABLE dispatch DROP COLUMN kind;
ALTER TABLE dispatch DROP COLUMN conversation_id;
ALTER TABLE dispatch ADD PRIMARY KEY (org_id, run_id);
CREATE TABLE approval (
    org_id TEXT NOT NULL,
    approval_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    payload BYTEA NOT NULL,
    asked_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, approval_id)
);
CREATE INDEX approval_user ON approval (org_id, user_id, asked_at, approval_id);
CREATE INDEX approval_run ON approval (org_id, run_id);
CREATE TABLE erased (
    org_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    user_id TEXT,
    erased_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, conversation_id)
);
";
