-- Which files are attached to which tickets. Tickets themselves are the business of whoever numbers them.
CREATE TABLE ticket_files (
    tenant TEXT NOT NULL,
    ticket_id BIGINT NOT NULL CHECK (ticket_id > 0),
    file_id BIGINT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    added_at TIMESTAMPTZ NOT NULL,
    added_by_id BIGINT NOT NULL,
    added_by_kind TEXT NOT NULL,
    PRIMARY KEY (tenant, ticket_id, file_id)
);

-- What a file that is forgotten takes along.
CREATE INDEX ticket_files_file ON ticket_files (file_id);
