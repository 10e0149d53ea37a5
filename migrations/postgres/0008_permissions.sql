-- The names of the file types that a token is for, separated by commas; NULL for all.
ALTER TABLE tokens ADD COLUMN file_types TEXT;

-- When it ends by itself; NULL for never.
ALTER TABLE tokens ADD COLUMN expires_at TIMESTAMPTZ;

-- Keys that all brokers of this database share: made by the first one that needs one.
CREATE TABLE shared_keys (
    name TEXT PRIMARY KEY,
    secret BYTEA NOT NULL
);
