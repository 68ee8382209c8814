-- The journal holds inputs of the core (content type application/vnd.nexus.input) and names what
-- their decisions depended on; rows without an environment are older and cannot be folded.
ALTER TABLE journal ADD COLUMN environment TEXT;

-- Whose content a message carries, so that it can be erased.
ALTER TABLE outbox ADD COLUMN conversation_id TEXT;
CREATE INDEX outbox_conversation ON outbox (org_id, conversation_id);

-- The run or command that led to a message about another run: repeating it repeats the message.
ALTER TABLE outbox ADD COLUMN cause TEXT;
CREATE INDEX outbox_cause ON outbox (org_id, cause) WHERE cause IS NOT NULL;

-- States kept every hundred events: folding begins at the nearest one, and retention ends there.
CREATE TABLE snapshot (
  org_id          TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  seq             BIGINT NOT NULL,
  state           BLOB NOT NULL,
  at              BIGINT NOT NULL,
  PRIMARY KEY (org_id, conversation_id, seq)
);

-- What decisions depend on besides the conversation: tools, settings, bounds. By hash.
CREATE TABLE environment (
  org_id TEXT NOT NULL,
  hash   TEXT NOT NULL,
  body   BLOB NOT NULL,
  PRIMARY KEY (org_id, hash)
) WITHOUT ROWID;

-- Who still has to confirm a message of the outbox that several must keep.
CREATE TABLE outbox_keeper (
  org_id TEXT NOT NULL,
  id     TEXT NOT NULL,
  keeper TEXT NOT NULL,
  PRIMARY KEY (org_id, id, keeper)
) WITHOUT ROWID;
