-- One row a conversation: what is remembered of it, and how many events it has seen.
-- `previous` is the version this one was made from; an update whose `previous` is not the stored
-- version changes nothing (compare-and-set).
CREATE TABLE conversation (
  org_id     TEXT NOT NULL,
  id         TEXT NOT NULL,
  user_id    TEXT,
  version    BIGINT NOT NULL,
  previous   BIGINT NOT NULL,
  state      BYTEA NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (org_id, id)
);

-- What happened, verbatim and for ever: seq is dense and ordered within a conversation.
CREATE TABLE journal (
  org_id          TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  seq             BIGINT NOT NULL,
  run_id          TEXT NOT NULL,
  message_id      TEXT NOT NULL,
  event_type      TEXT NOT NULL,
  content_type    TEXT NOT NULL,
  payload         BYTEA NOT NULL,
  at              BIGINT NOT NULL,
  PRIMARY KEY (org_id, conversation_id, seq)
);

-- Messages of people and programs that were handled, and how.
CREATE TABLE inbox (
  org_id          TEXT NOT NULL,
  channel         TEXT NOT NULL,
  message_id      TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  handled         TEXT NOT NULL,
  at              BIGINT NOT NULL,
  PRIMARY KEY (org_id, channel, message_id)
);
CREATE INDEX inbox_at ON inbox (at);

-- Messages that must arrive. Unsettled ones are published again when their dispatch row is due;
-- settled ones are kept for a while to answer repetitions.
CREATE TABLE outbox (
  org_id  TEXT NOT NULL,
  id      TEXT NOT NULL,
  run_id  TEXT NOT NULL,
  channel TEXT NOT NULL,
  settled BIGINT NOT NULL,
  body    BYTEA NOT NULL,
  at      BIGINT NOT NULL,
  PRIMARY KEY (org_id, id)
);
CREATE INDEX outbox_run ON outbox (org_id, run_id);
CREATE INDEX outbox_settled ON outbox (at) WHERE settled = 1;

-- What is due when, without any content: exempt from row-level security so that one sweep sees
-- every organisation. kind: message | deadline | cancel.
CREATE TABLE dispatch (
  org_id  TEXT NOT NULL,
  kind    TEXT NOT NULL,
  id      TEXT NOT NULL,
  due_at  BIGINT NOT NULL,
  until   BIGINT NOT NULL,
  attempt BIGINT NOT NULL,
  PRIMARY KEY (org_id, kind, id)
);
CREATE INDEX dispatch_due ON dispatch (due_at);

-- Which life of each channel was last seen: another one means that the bus lost its data, and that
-- everything unsettled is due at once. Exempt from row-level security.
CREATE TABLE bus_incarnation (
  channel     TEXT NOT NULL PRIMARY KEY,
  incarnation TEXT NOT NULL
);
