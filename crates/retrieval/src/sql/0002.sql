-- Where a document or memory may go: 0 open, 1 sensitive, 2 local_only. Whatever does not say so is kept
-- as strictly as there is.
ALTER TABLE retrieval_document ADD COLUMN privacy BIGINT NOT NULL DEFAULT 2;

-- What was there already: documents were given by people, who could not ask for anything but `open`, and
-- were told to whoever searched. What agents kept, memories and a person's collection `notes`, may be from
-- any conversation, and stays here; said again in an open one, it is open.
UPDATE retrieval_document SET privacy = 0
  WHERE kind = 'document' AND (owner IS NULL OR collection <> 'notes');

-- A vector index outside of this database filters by it, so it hears of everything again.
INSERT INTO retrieval_pending (org_id, document_id, revision)
  SELECT d.org_id, d.id, d.revision FROM retrieval_document AS d
  WHERE EXISTS (SELECT 1 FROM retrieval_space AS s WHERE s.org_id = d.org_id)
  ON CONFLICT (org_id, document_id) DO UPDATE SET revision = excluded.revision;
