-- Nothing to do: SQLite changes rows in place. (Postgres writes a new version of each.)
SELECT 1;
