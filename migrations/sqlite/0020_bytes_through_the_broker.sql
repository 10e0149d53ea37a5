-- When a file ends by itself that nobody holds: set by the dialects whose files are for passing on, and taken back by whoever holds it.
-- A broker of the version before neither sets it nor looks at it.
ALTER TABLE files ADD COLUMN keep_until INTEGER;

-- What the sweeper asks, in the order of time. Of most files nothing stands here.
CREATE INDEX files_kept ON files (keep_until, id) WHERE state = 'active' AND keep_until IS NOT NULL;

-- Which post of the ticket a file belongs to; 0 for none.
ALTER TABLE ticket_files ADD COLUMN post_id INTEGER NOT NULL DEFAULT 0 CHECK (post_id >= 0);
