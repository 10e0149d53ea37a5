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

-- Keys that must be deleted after a time unless an active file claims them first.
CREATE TABLE doomed_objects (
    key TEXT PRIMARY KEY,
    delete_after TIMESTAMPTZ NOT NULL
);

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
