-- Every message that passed, as it was. The same entry read twice is one row; a message published
-- twice is two, because that is what happened. `at` is when the bus stored it, in milliseconds.
CREATE TABLE archive (
  seq             INTEGER PRIMARY KEY AUTOINCREMENT,
  org_id          TEXT NOT NULL,
  channel         TEXT NOT NULL,
  entry_id        TEXT NOT NULL,
  message_id      TEXT NOT NULL,
  event_type      TEXT NOT NULL,
  correlation_id  TEXT,
  conversation_id TEXT,
  run_id          TEXT,
  at       BIGINT NOT NULL,
  content_type    TEXT NOT NULL,
  metadata        TEXT NOT NULL,
  payload         BLOB NOT NULL,
  UNIQUE (org_id, channel, entry_id, message_id)
);
CREATE INDEX archive_correlation ON archive (org_id, correlation_id, at);
CREATE INDEX archive_run ON archive (org_id, run_id, at);
CREATE INDEX archive_conversation ON archive (org_id, conversation_id, at);
CREATE INDEX archive_at ON archive (at);

-- A conversation that exists: at least one of its messages was accepted.
CREATE TABLE conversation (
  org_id     TEXT NOT NULL,
  id         TEXT NOT NULL,
  user_id    TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (org_id, id)
);
CREATE INDEX conversation_recent ON conversation (org_id, updated_at, id);

-- What was said: by the person who started a run, and by the agent that ended it.
CREATE TABLE said (
  org_id          TEXT NOT NULL,
  run_id          TEXT NOT NULL,
  role            TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  text            TEXT NOT NULL,
  at              BIGINT NOT NULL,
  PRIMARY KEY (org_id, run_id, role)
);
CREATE INDEX said_conversation ON said (org_id, conversation_id, at);

-- Runs. Every column but the key is filled by one kind of message, in any order.
CREATE TABLE run (
  org_id          TEXT NOT NULL,
  id              TEXT NOT NULL,
  correlation_id  TEXT,
  conversation_id TEXT,
  asked_at        BIGINT,
  accepted_at     BIGINT,
  ended_at        BIGINT,
  outcome         TEXT,
  code            TEXT,
  provider        TEXT,
  model           TEXT,
  input_tokens    BIGINT,
  output_tokens   BIGINT,
  steps           BIGINT,
  PRIMARY KEY (org_id, id)
);
CREATE INDEX run_correlation ON run (org_id, correlation_id);
CREATE INDEX run_conversation ON run (org_id, conversation_id);
