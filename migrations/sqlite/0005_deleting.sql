-- When and by whom a file was deleted; set exactly while it is.
ALTER TABLE files ADD COLUMN deleted_at INTEGER CHECK ((state = 'deleted') = (deleted_at IS NOT NULL));
ALTER TABLE files ADD COLUMN deleted_by_id INTEGER CHECK ((deleted_at IS NULL) = (deleted_by_id IS NULL));
ALTER TABLE files ADD COLUMN deleted_by_kind TEXT CHECK ((deleted_at IS NULL) = (deleted_by_kind IS NULL));

-- What the sweeper purges.
CREATE INDEX files_purgeable ON files (deleted_at, id) WHERE state = 'deleted';

-- Lists of deleted files, as those of active ones. All of these are partial: issuing a slip writes to none.
CREATE INDEX files_deleted ON files (tenant, (-id)) WHERE state = 'deleted';

-- The order that Desk's clients ask for.
CREATE INDEX files_active_created ON files (tenant, created_at, id) WHERE state = 'active';
