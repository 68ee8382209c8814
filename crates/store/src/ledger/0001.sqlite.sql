CREATE TABLE effect (
    org_id TEXT NOT NULL,
    id TEXT NOT NULL,
    class TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    -- Null: nobody holds it.
    lease_until BIGINT,
    expires_at BIGINT NOT NULL,
    completed_at BIGINT,
    result BLOB,
    PRIMARY KEY (org_id, id)
) WITHOUT ROWID;
CREATE INDEX effect_expires ON effect (expires_at);
