-- 1 while a vector index outside of this database is told to drop all it has there: what was put there
-- until that is done may be gone.
ALTER TABLE retrieval_space ADD COLUMN dropping BIGINT NOT NULL DEFAULT 0;
