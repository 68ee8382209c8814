-- Whose a message and a run are, so that they are shown to nobody else.
ALTER TABLE archive ADD COLUMN user_id TEXT;
ALTER TABLE run ADD COLUMN user_id TEXT;
CREATE INDEX run_ended ON run (org_id, ended_at);

-- The title a conversation was given, what of it can be found, and how it is ranked: a person's
-- before an automatic one, then the later one. `extra` is what an imported document said besides.
ALTER TABLE conversation ADD COLUMN title TEXT;
ALTER TABLE conversation ADD COLUMN title_rank TEXT;
ALTER TABLE conversation ADD COLUMN title_at BIGINT;
ALTER TABLE conversation ADD COLUMN title_words TEXT;
ALTER TABLE conversation ADD COLUMN extra TEXT;
DROP INDEX conversation_recent;
CREATE INDEX conversation_recent ON conversation (org_id, user_id, updated_at, id);

-- Where a conversation leaves its parent: `cut` is when the message that was replaced had been
-- accepted, `at` stands for it until that is known.
CREATE TABLE branch (
  org_id          TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  parent          TEXT NOT NULL,
  run_id          TEXT NOT NULL,
  at              BIGINT NOT NULL,
  cut             BIGINT,
  PRIMARY KEY (org_id, conversation_id)
);
CREATE INDEX branch_parent ON branch (org_id, parent);
CREATE INDEX branch_run ON branch (org_id, run_id);

CREATE TABLE summary (
  org_id          TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  message_id      TEXT NOT NULL,
  summary         TEXT NOT NULL,
  messages        BIGINT NOT NULL,
  at              BIGINT NOT NULL,
  PRIMARY KEY (org_id, conversation_id, message_id)
);

-- Conversations that are gone, so that what arrives late is not stored again. `held` is 1 while
-- branches may still show some of what was said in it.
CREATE TABLE erased (
  org_id          TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  at              BIGINT NOT NULL,
  held            BIGINT NOT NULL,
  PRIMARY KEY (org_id, conversation_id)
);
CREATE INDEX erased_held ON erased (org_id) WHERE held = 1;

-- What was said, with a place of its own: `<run>/0` the question, `<run>/1` the answer,
-- `<conversation>/<number>` what was imported. Question and acceptance arrive in any order, so
-- `text` and `at` are filled one after the other; only a row with both is part of a conversation.
-- The largest number is the `at` of a question whose run failed, unless it was accepted too.
ALTER TABLE said RENAME TO said_before;
DROP INDEX said_conversation;
CREATE TABLE said (
  seq             INTEGER PRIMARY KEY AUTOINCREMENT,
  org_id          TEXT NOT NULL,
  place           TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  run_id          TEXT,
  role            TEXT NOT NULL,
  text            TEXT,
  words           TEXT,
  at              BIGINT,
  told_at         BIGINT,
  provider        TEXT,
  model           TEXT,
  extra           TEXT,
  recorded_at     BIGINT NOT NULL,
  UNIQUE (org_id, place)
);
INSERT INTO said (org_id, place, conversation_id, run_id, role, text, at, told_at, provider, model,
  recorded_at)
SELECT old.org_id, old.run_id || CASE old.role WHEN 'user' THEN '/0' ELSE '/1' END,
  old.conversation_id, old.run_id, old.role, old.text,
  CASE WHEN old.role = 'user' THEN
    CASE WHEN run.outcome = 'completed' THEN COALESCE(run.accepted_at, old.at)
    ELSE run.accepted_at END
  ELSE old.at END,
  old.at,
  CASE WHEN old.role = 'assistant' THEN run.provider END,
  CASE WHEN old.role = 'assistant' THEN run.model END,
  old.at
FROM said_before AS old LEFT JOIN run ON run.org_id = old.org_id AND run.id = old.run_id;
DROP TABLE said_before;
CREATE INDEX said_conversation ON said (org_id, conversation_id, at, place);
CREATE INDEX said_recorded ON said (org_id, recorded_at);
CREATE INDEX said_unindexed ON said (org_id) WHERE words IS NULL AND text IS NOT NULL;

-- The words of what was said. `words` is already cut into words that hold nothing but letters and
-- digits, which this tokenizer leaves as they are. What is deleted leaves the index at once.
CREATE VIRTUAL TABLE said_fts USING fts5 (
  words, content = 'said', content_rowid = 'seq', tokenize = 'ascii', detail = 'none', columnsize = 0
);
INSERT INTO said_fts (said_fts, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER said_inserted AFTER INSERT ON said WHEN new.words IS NOT NULL BEGIN
  INSERT INTO said_fts (rowid, words) VALUES (new.seq, new.words);
END;
CREATE TRIGGER said_deleted AFTER DELETE ON said WHEN old.words IS NOT NULL BEGIN
  INSERT INTO said_fts (said_fts, rowid, words) VALUES ('delete', old.seq, old.words);
END;
CREATE TRIGGER said_filled AFTER UPDATE OF words ON said
WHEN old.words IS NULL AND new.words IS NOT NULL BEGIN
  INSERT INTO said_fts (rowid, words) VALUES (new.seq, new.words);
END;
CREATE TRIGGER said_emptied AFTER UPDATE OF words ON said
WHEN old.words IS NOT NULL AND new.words IS NULL BEGIN
  INSERT INTO said_fts (said_fts, rowid, words) VALUES ('delete', old.seq, old.words);
END;
