-- Files that are uploaded in parts. upload_id is the store's name for the upload: NULL for a file that comes in one
-- request, and '' when the store was not asked for one yet or its answer may have been lost.
ALTER TABLE files ADD COLUMN upload_id TEXT;

-- Bytes of every part but the last; NULL when the client chooses them.
ALTER TABLE files ADD COLUMN part_size BIGINT;

-- The upload that may still be open on a doomed key, with the same meaning of NULL and ''.
ALTER TABLE doomed_objects ADD COLUMN upload_id TEXT;
