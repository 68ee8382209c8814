-- What an effect is about: its result is erased with that. An erased row keeps its id, so that the
-- effect is not performed again. A row whose id is `erased <about>` says that `about` is gone for
-- good; no message has an id with a space.
ALTER TABLE effect ADD COLUMN about TEXT;
ALTER TABLE effect ADD COLUMN erased BIGINT NOT NULL DEFAULT 0;
CREATE INDEX effect_about ON effect (org_id, about) WHERE about IS NOT NULL;
-- Pruned organisation by organisation.
DROP INDEX effect_expires;
CREATE INDEX effect_expires ON effect (org_id, expires_at);
