-- Who did what to which file: rows are only ever added. Issuing a slip is not in it: the file's own row says who and when.
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    -- Both NULL: dropslip itself, or somebody at its command line.
    actor_id INTEGER,
    actor_kind TEXT,
    action TEXT NOT NULL,
    -- No REFERENCES: what was done outlives the file. NULL for what is about no file.
    file_id INTEGER,
    details TEXT NOT NULL,
    CHECK ((actor_id IS NULL) = (actor_kind IS NULL))
) STRICT;

-- Read newest first, by -id for the reason of files_active.
CREATE INDEX audit_log_tenant ON audit_log (tenant, (-id));
CREATE INDEX audit_log_file ON audit_log (file_id, (-id)) WHERE file_id IS NOT NULL;

CREATE TRIGGER audit_log_keeps_rows BEFORE UPDATE ON audit_log BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;
CREATE TRIGGER audit_log_keeps_all BEFORE DELETE ON audit_log BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;

-- INSERT OR REPLACE deletes without asking the trigger above. A number that the table is to choose is -1 here.
CREATE TRIGGER audit_log_keeps_numbers BEFORE INSERT ON audit_log WHEN NEW.id <> -1 BEGIN
    SELECT RAISE(ABORT, 'audit_log chooses its numbers itself');
END;

-- What webhooks are told: one row for each event and endpoint.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL, -- the same for all endpoints and all attempts
    endpoint TEXT NOT NULL,
    tenant TEXT NOT NULL,
    type TEXT NOT NULL,
    file_id INTEGER NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    -- Somebody is sending it. Past this time another may.
    leased_until INTEGER,
    last_answer TEXT, -- what came of the last attempt
    finished_at INTEGER,
    UNIQUE (event_id, endpoint),
    CHECK ((state = 'pending') = (finished_at IS NULL))
) STRICT;

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
    gone_at INTEGER NOT NULL
) STRICT;
