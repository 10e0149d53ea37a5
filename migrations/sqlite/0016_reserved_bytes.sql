-- What forms may still write, where an installation limits reserved bytes: each form until it dies, whatever becomes of its file.
CREATE TABLE reserved_forms (
    staging_key TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX reserved_forms_ended ON reserved_forms (ends_at);

-- Their sums by the minute in which they die, so that a limit is looked at in a few rows. Of a tenant as a whole: actor_kind is ''.
CREATE TABLE reserved_bytes (
    tenant TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant, actor_kind, actor_id, ends_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX reserved_bytes_ended ON reserved_bytes (ends_at);
