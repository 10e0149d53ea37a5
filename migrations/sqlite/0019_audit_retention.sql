-- The sweeper may take old lines of the audit log, and nobody else any: in one transaction it says before when they are that it takes,
-- takes them, and takes back what it said.
CREATE TABLE audit_retention (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    before INTEGER NOT NULL
) STRICT;

CREATE TRIGGER audit_retention_keeps_a_month BEFORE INSERT ON audit_retention
WHEN NEW.before > (unixepoch() - 30 * 86400) * 1000000 BEGIN
    SELECT RAISE(ABORT, 'audit_log keeps its lines for 30 days at least');
END;
CREATE TRIGGER audit_retention_is_not_changed BEFORE UPDATE ON audit_retention BEGIN
    SELECT RAISE(ABORT, 'audit_log keeps its lines for 30 days at least');
END;

DROP TRIGGER audit_log_keeps_all;
CREATE TRIGGER audit_log_keeps_all BEFORE DELETE ON audit_log
WHEN NOT EXISTS (SELECT 1 FROM audit_retention WHERE OLD.at < before) BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;
