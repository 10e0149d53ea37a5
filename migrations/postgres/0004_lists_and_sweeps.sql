-- Lists, newest first. Partial: issuing a slip writes no more than before. By -id, because for the order of id a planner may choose
-- the primary key and pass over the files of all other tenants.
CREATE INDEX files_active ON files (tenant, (-id)) WHERE state = 'active';

-- The same for customers, who reach their own files only.
CREATE INDEX files_active_customer ON files (tenant, created_by_id, (-id)) WHERE state = 'active' AND created_by_kind = 'customers';

-- What the limits count, now with what they sum up, so that the records themselves need not be read.
DROP INDEX files_open;
CREATE INDEX files_open ON files (tenant, created_by_kind, created_by_id) INCLUDE (max_size) WHERE state = 'temp';

-- What the sweeper forgets.
CREATE INDEX idempotency_keys_made ON idempotency_keys (created_at);
