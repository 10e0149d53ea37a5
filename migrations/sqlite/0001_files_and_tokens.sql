-- Times are microseconds since 1970 in UTC, so that number order is time order.

CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- AUTOINCREMENT: a number is never used again
    tenant TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('temp', 'active', 'deleted')),
    type_name TEXT NOT NULL,
    name TEXT NOT NULL,
    disposition TEXT NOT NULL,
    declared_type TEXT,
    granted_type TEXT NOT NULL,
    detected_type TEXT,
    decided_type TEXT,
    verdict TEXT,
    pixel_width INTEGER,
    pixel_height INTEGER,
    min_size INTEGER NOT NULL,
    max_size INTEGER NOT NULL CHECK (max_size >= min_size),
    checksum_sha256 TEXT,
    staging_key TEXT NOT NULL,
    sealed_key TEXT,
    reissued INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL,
    etag TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_by_id INTEGER NOT NULL,
    created_by_kind TEXT NOT NULL,
    updated_by_id INTEGER NOT NULL,
    updated_by_kind TEXT NOT NULL,
    -- No file leaves 'temp' without an object that was seen.
    CHECK ((state = 'temp') = (sealed_key IS NULL)),
    CHECK ((state = 'temp') = (etag IS NULL)),
    CHECK ((state = 'temp') = (verdict IS NULL)),
    CHECK ((verdict IS NULL) = (decided_type IS NULL))
) STRICT;

-- What the sweeper looks for.
CREATE INDEX files_expiring ON files (expires_at) WHERE state = 'temp';

-- Who owns an object: asked by audits, written only when a file becomes active.
CREATE UNIQUE INDEX files_sealed ON files (sealed_key) WHERE sealed_key IS NOT NULL;

-- What the limits count.
CREATE INDEX files_open ON files (tenant, created_by_kind, created_by_id) WHERE state = 'temp';

-- Keys that must be deleted after a time unless an active file claims them first.
CREATE TABLE doomed_objects (
    key TEXT PRIMARY KEY,
    delete_after INTEGER NOT NULL,
    -- Set once a sweeper has taken the key on: from then on no file can claim it. Past this time another sweeper may go on.
    leased_until INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX doomed_objects_due ON doomed_objects (delete_after);

-- Which storage the records speak of: at most one row.
CREATE TABLE storage (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    identity TEXT NOT NULL
) STRICT;

-- Which file an Idempotency-Key stands for.
CREATE TABLE idempotency_keys (
    tenant TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    request_sha256 BLOB NOT NULL,
    file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, actor_kind, actor_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_file ON idempotency_keys (file_id);

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lookup TEXT NOT NULL UNIQUE, -- the public half, finds the row
    secret_sha256 BLOB NOT NULL,
    tenant TEXT NOT NULL,
    actor_id INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
