-- Counted lists read an index alone only where a vacuum found that whole pages of the table are visible to all. By default that is when a
-- fifth of the table has changed: millions of files late, and a count a hundred times as long meanwhile.
ALTER TABLE files SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
