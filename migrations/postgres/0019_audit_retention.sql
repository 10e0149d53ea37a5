-- The sweeper may take old lines of the audit log, and nobody else any: in one transaction it says before when they are that it takes,
-- takes them, and takes back what it said.
CREATE TABLE audit_retention (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    before TIMESTAMPTZ NOT NULL
);

CREATE FUNCTION audit_retention_keeps_a_month() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' OR NEW.before > now() - interval '30 days' THEN
        RAISE EXCEPTION 'audit_log keeps its lines for 30 days at least';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER audit_retention_keeps_a_month BEFORE INSERT OR UPDATE ON audit_retention
    FOR EACH ROW EXECUTE FUNCTION audit_retention_keeps_a_month();

CREATE FUNCTION audit_log_keeps_what_is_not_old() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM audit_retention WHERE OLD.at < before) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit_log is append-only';
END
$$;

DROP TRIGGER audit_log_keeps_rows ON audit_log;
CREATE TRIGGER audit_log_keeps_rows BEFORE UPDATE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
CREATE TRIGGER audit_log_keeps_lines BEFORE DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_keeps_what_is_not_old();
