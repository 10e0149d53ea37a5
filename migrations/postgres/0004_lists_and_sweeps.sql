-- Lists, newest first. Partial: issuing a slip writes no more than before. By -id, because for the order of id a planner may choose
-- the primary key and pass over the files of all other tenants.
CREATE INDEX files_active ON files (tenant, (-id)) WHERE state = 'active';

-- The same for customers, who reach their own files only.
CREATE INDEX files_active_customer ON files (tenant, created_by_id, (-id)) WHERE state = 'active' AND created_by_kind = 'customers';

-- What the sweeper looks for and the limits count, in one index that grows at its end. The one by tenant is gone: each slip wrote
-- to another page of it.
DROP INDEX files_open;
DROP INDEX files_expiring;
CREATE INDEX files_expiring ON files (expires_at, id) INCLUDE (tenant, created_by_kind, created_by_id, max_size) WHERE state = 'temp';

-- What the sweeper forgets.
CREATE INDEX idempotency_keys_made ON idempotency_keys (created_at);
