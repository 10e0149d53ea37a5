CREATE TABLE files (
    id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
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
    pixel_width BIGINT,
    pixel_height BIGINT,
    min_size BIGINT NOT NULL,
    max_size BIGINT NOT NULL CHECK (max_size >= min_size),
    checksum_sha256 TEXT,
    staging_key TEXT NOT NULL,
    sealed_key TEXT,
    reissued BIGINT NOT NULL DEFAULT 0,
    size BIGINT NOT NULL,
    etag TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    created_by_id BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    updated_by_id BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    -- No file leaves 'temp' without an object that was seen.
    CHECK ((state = 'temp') = (sealed_key IS NULL)),
    CHECK ((state = 'temp') = (etag IS NULL)),
    CHECK ((state = 'temp') = (verdict IS NULL)),
    CHECK ((verdict IS NULL) = (decided_type IS NULL))
);

-- What the sweeper looks for.
CREATE INDEX files_expiring ON files (expires_at) WHERE state = 'temp';

-- Who owns an object: asked by audits, written only when a file becomes active.
CREATE UNIQUE INDEX files_sealed ON files (sealed_key) WHERE sealed_key IS NOT NULL;

-- What the limits count.
CREATE INDEX files_open ON files (tenant, created_by_kind, created_by_id) WHERE state = 'temp';

-- Keys that must be deleted after a time unless an active file claims them first.
CREATE TABLE doomed_objects (
    key TEXT PRIMARY KEY,
    delete_after TIMESTAMPTZ NOT NULL,
    -- Set once a sweeper has taken the key on: from then on no file can claim it. Past this time another sweeper may go on.
    leased_until TIMESTAMPTZ
);

CREATE INDEX doomed_objects_due ON doomed_objects (delete_after);

-- Which storage the records speak of: at most one row.
CREATE TABLE storage (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    identity TEXT NOT NULL
);

-- Which file an Idempotency-Key stands for.
CREATE TABLE idempotency_keys (
    tenant TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id BIGINT NOT NULL,
    key TEXT NOT NULL,
    request_sha256 BYTEA NOT NULL,
    file_id BIGINT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant, actor_kind, actor_id, key)
);

CREATE INDEX idempotency_keys_file ON idempotency_keys (file_id);

CREATE TABLE tokens (
    id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    lookup TEXT NOT NULL UNIQUE, -- the public half, finds the row
    secret_sha256 BYTEA NOT NULL,
    tenant TEXT NOT NULL,
    actor_id BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ
);
