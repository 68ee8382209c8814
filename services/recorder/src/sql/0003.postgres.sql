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
-- Changed in place, so that no policy on rows stands between the old ones and the new ones.
ALTER TABLE said DROP CONSTRAINT said_pkey;
ALTER TABLE said
  ADD COLUMN seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ADD COLUMN place       TEXT,
  ADD COLUMN words       TEXT,
  ADD COLUMN told_at     BIGINT,
  ADD COLUMN provider    TEXT,
  ADD COLUMN model       TEXT,
  ADD COLUMN extra       TEXT,
  ADD COLUMN recorded_at BIGINT;
ALTER TABLE said
  ALTER COLUMN place TYPE TEXT
    USING run_id || CASE role WHEN 'user' THEN '/0' ELSE '/1' END,
  ALTER COLUMN told_at TYPE BIGINT USING at,
  ALTER COLUMN recorded_at TYPE BIGINT USING at;
ALTER TABLE said
  ALTER COLUMN place SET NOT NULL,
  ALTER COLUMN recorded_at SET NOT NULL,
  ALTER COLUMN run_id DROP NOT NULL,
  ALTER COLUMN text DROP NOT NULL,
  ALTER COLUMN at DROP NOT NULL,
  ADD UNIQUE (org_id, place);
UPDATE said SET
  at = CASE WHEN role = 'user' THEN
    CASE WHEN run.outcome = 'completed' THEN COALESCE(run.accepted_at, said.at)
    ELSE run.accepted_at END
  ELSE said.at END,
  provider = CASE WHEN role = 'assistant' THEN run.provider END,
  model = CASE WHEN role = 'assistant' THEN run.model END
FROM run WHERE run.org_id = said.org_id AND run.id = said.run_id;
DROP INDEX said_conversation;
CREATE INDEX said_conversation ON said (org_id, conversation_id, at, place);
CREATE INDEX said_recorded ON said (org_id, recorded_at);
CREATE INDEX said_unindexed ON said (org_id) WHERE words IS NULL AND text IS NOT NULL;

-- There is no index of words here. Row-level security keeps every condition but equality and order
-- from an index (none of the full-text operators is leakproof), so a GIN index would be written and
-- never read. What is searched is what one person said, found by `said_conversation`.
