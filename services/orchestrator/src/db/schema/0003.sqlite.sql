-- Fewer pages for each event. A page is what a commit writes, and random ids scatter: a table with two
-- indexes is three pages for a row.

-- Clustered: an event is one page, and the events of a conversation lie together.
CREATE TABLE journal_3 (
  org_id          TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  seq             BIGINT NOT NULL,
  run_id          TEXT NOT NULL,
  message_id      TEXT NOT NULL,
  event_type      TEXT NOT NULL,
  content_type    TEXT NOT NULL,
  payload         BLOB NOT NULL,
  environment     TEXT,
  at              BIGINT NOT NULL,
  PRIMARY KEY (org_id, conversation_id, seq)
) WITHOUT ROWID;
INSERT INTO journal_3 SELECT org_id, conversation_id, seq, run_id, message_id, event_type, content_type,
  payload, environment, at FROM journal;
DROP TABLE journal;
ALTER TABLE journal_3 RENAME TO journal;

-- Answers of clients on the bus: delivered when they are published, and kept for a while to answer
-- repetitions. `conversation_id` is empty where an answer carries nothing of a conversation.
CREATE TABLE answer (
  org_id          TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  run_id          TEXT NOT NULL,
  id              TEXT NOT NULL,
  cause           TEXT NOT NULL,
  channel         TEXT NOT NULL,
  body            BLOB NOT NULL,
  at              BIGINT NOT NULL,
  PRIMARY KEY (org_id, conversation_id, run_id, id)
) WITHOUT ROWID;
CREATE INDEX answer_at ON answer (org_id, at);
INSERT INTO answer SELECT org_id, COALESCE(conversation_id, ''), run_id, id, COALESCE(cause, run_id),
  channel, body, at FROM outbox WHERE settled = 1;

-- Messages that must arrive, until they have: published again when their dispatch row is due. `cause`
-- is what led to one: the run whose request did, or the result or timer with this id.
CREATE TABLE outbox_3 (
  org_id          TEXT NOT NULL,
  id              TEXT NOT NULL,
  run_id          TEXT NOT NULL,
  cause           TEXT NOT NULL,
  conversation_id TEXT,
  channel         TEXT NOT NULL,
  body            BLOB NOT NULL,
  at              BIGINT NOT NULL,
  PRIMARY KEY (org_id, id)
) WITHOUT ROWID;
INSERT INTO outbox_3 SELECT org_id, id, run_id, COALESCE(cause, run_id), conversation_id, channel, body,
  at FROM outbox WHERE settled = 0;
DROP TABLE outbox;
ALTER TABLE outbox_3 RENAME TO outbox;
CREATE INDEX outbox_cause ON outbox (org_id, cause);

-- Pruned organisation by organisation.
DROP INDEX inbox_at;
CREATE INDEX inbox_at ON inbox (org_id, at);
