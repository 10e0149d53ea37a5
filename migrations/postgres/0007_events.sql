-- Who did what to which file: rows are only ever added. Issuing a slip is not in it: the file's own row says who and when.
CREATE TABLE audit_log (
    id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at TIMESTAMPTZ NOT NULL,
    tenant TEXT NOT NULL,
    -- Both NULL: dropslip itself, or somebody at its command line.
    actor_id BIGINT,
    actor_kind TEXT,
    action TEXT NOT NULL,
    -- No REFERENCES: what was done outlives the file. NULL for what is about no file.
    file_id BIGINT,
    details TEXT NOT NULL,
    CHECK ((actor_id IS NULL) = (actor_kind IS NULL))
);

-- Read newest first, by -id for the reason of files_active.
CREATE INDEX audit_log_tenant ON audit_log (tenant, (-id));
CREATE INDEX audit_log_file ON audit_log (file_id, (-id)) WHERE file_id IS NOT NULL;

CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only';
END
$$;

CREATE TRIGGER audit_log_keeps_rows BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
CREATE TRIGGER audit_log_keeps_all BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();

-- What webhooks are told: one row for each event and endpoint.
CREATE TABLE events (
    id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    event_id TEXT NOT NULL, -- the same for all endpoints and all attempts
    endpoint TEXT NOT NULL,
    tenant TEXT NOT NULL,
    type TEXT NOT NULL,
    file_id BIGINT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    created_at TIMESTAMPTZ NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ NOT NULL,
    -- Somebody is sending it. Past this time another may.
    leased_until TIMESTAMPTZ,
    last_answer TEXT, -- what came of the last attempt
    finished_at TIMESTAMPTZ,
    UNIQUE (event_id, endpoint),
    CHECK ((state = 'pending') = (finished_at IS NULL))
);

-- What is sent next.
CREATE INDEX events_due ON events (endpoint, next_attempt_at, id) WHERE state = 'pending';

-- Lists, newest first; and what must go before an event of the same file.
CREATE INDEX events_by_state ON events (state, (-id));
CREATE INDEX events_by_file ON events (file_id, (-id));

-- What sweeps forget, and give up.
CREATE INDEX events_finished ON events (finished_at) WHERE state <> 'pending';
CREATE INDEX events_overdue ON events (next_attempt_at) WHERE state = 'pending';

-- What is sent again.
CREATE INDEX events_created ON events (created_at, id);

-- Endpoints that answered 410 Gone: nothing is sent to that URL until somebody says so.
CREATE TABLE gone_endpoints (
    name TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    gone_at TIMESTAMPTZ NOT NULL
);
