-- How often an organisation's documents changed, and at which of these changes something was last
-- removed: what an index in memory compares itself with.
CREATE TABLE retrieval_state (
  org_id     TEXT NOT NULL PRIMARY KEY,
  revision   BIGINT NOT NULL,
  removed_at BIGINT NOT NULL
);

-- Documents and, with `kind` 'memory', what an agent remembers of a person. No owner: all of the
-- organisation see it. `revision` is the change that made the row what it is.
CREATE TABLE retrieval_document (
  org_id          TEXT NOT NULL,
  id              TEXT NOT NULL,
  kind            TEXT NOT NULL,
  collection      TEXT NOT NULL,
  owner           TEXT,
  title           TEXT NOT NULL,
  source          TEXT NOT NULL,
  content_type    TEXT NOT NULL,
  sha256          TEXT NOT NULL,
  bytes           BIGINT NOT NULL,
  chunks          BIGINT NOT NULL,
  untrusted       BIGINT NOT NULL,
  run_id          TEXT,
  conversation_id TEXT,
  added_at        BIGINT NOT NULL,
  revision        BIGINT NOT NULL,
  PRIMARY KEY (org_id, id)
);
CREATE INDEX retrieval_document_changed ON retrieval_document (org_id, revision);
CREATE INDEX retrieval_document_recent ON retrieval_document (org_id, kind, added_at, id);
CREATE INDEX retrieval_document_owner ON retrieval_document (org_id, owner, kind);
CREATE INDEX retrieval_document_conversation ON retrieval_document (org_id, conversation_id)
  WHERE conversation_id IS NOT NULL;

-- The text of a document in pieces, one behind the other and nothing between. `vector` holds
-- `dimensions` numbers of 32 bits, least byte first, of length 1.
CREATE TABLE retrieval_chunk (
  org_id      TEXT NOT NULL,
  document_id TEXT NOT NULL,
  ordinal     BIGINT NOT NULL,
  start_byte  BIGINT NOT NULL,
  end_byte    BIGINT NOT NULL,
  context     TEXT NOT NULL,
  text        TEXT NOT NULL,
  model       TEXT,
  dimensions  BIGINT,
  vector      BLOB,
  PRIMARY KEY (org_id, document_id, ordinal)
);
CREATE INDEX retrieval_chunk_model ON retrieval_chunk (org_id, model, dimensions);

-- What a vector index outside of this database has yet to hear of, and which of its parts an
-- organisation has.
CREATE TABLE retrieval_pending (
  org_id      TEXT NOT NULL,
  document_id TEXT NOT NULL,
  revision    BIGINT NOT NULL,
  PRIMARY KEY (org_id, document_id)
);
CREATE TABLE retrieval_space (
  org_id     TEXT NOT NULL,
  model      TEXT NOT NULL,
  dimensions BIGINT NOT NULL,
  PRIMARY KEY (org_id, model, dimensions)
);
