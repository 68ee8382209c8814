-- Answers of clients on the bus: delivered when they are published, and kept for a while to answer
-- repetitions. `conversation_id` is empty where an answer carries nothing of a conversation.
CREATE TABLE answer (
  org_id          TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  run_id          TEXT NOT NULL,
  id              TEXT NOT NULL,
  cause           TEXT NOT NULL,
  channel         TEXT NOT NULL,
  body            BYTEA NOT NULL,
  at              BIGINT NOT NULL,
  PRIMARY KEY (org_id, conversation_id, run_id, id)
);
CREATE INDEX answer_at ON answer (org_id, at);
INSERT INTO answer SELECT org_id, COALESCE(conversation_id, ''), run_id, id, COALESCE(cause, run_id),
  channel, body, at FROM outbox WHERE settled = 1;

-- The outbox holds what is not settled, and no more. `cause` is what led to a message: the run whose
-- request did, or the result or timer with this id.
DELETE FROM outbox WHERE settled = 1;
DROP INDEX outbox_run;
DROP INDEX outbox_conversation;
DROP INDEX outbox_cause;
DROP INDEX IF EXISTS outbox_settled;
ALTER TABLE outbox DROP COLUMN settled;
UPDATE outbox SET cause = run_id WHERE cause IS NULL;
ALTER TABLE outbox ALTER COLUMN cause SET NOT NULL;
CREATE INDEX outbox_cause ON outbox (org_id, cause);

-- Pruned organisation by organisation.
DROP INDEX inbox_at;
CREATE INDEX inbox_at ON inbox (org_id, at);
