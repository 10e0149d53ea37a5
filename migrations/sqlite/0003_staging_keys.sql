-- Uppy's Companion wire names an upload by its key alone. Keys rise with time, so this index grows at its end.
CREATE INDEX files_staging ON files (staging_key);
