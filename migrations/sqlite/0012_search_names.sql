-- The same letters can be spelled in two ways in Unicode, and names are compared in one of them (NFC). search_name is the name in it, where
-- that is another text; search_name_of the name that it was made from, so that a broker that does not know these columns can rename a file.
-- Names in ASCII need neither.
ALTER TABLE files ADD COLUMN search_name TEXT;
ALTER TABLE files ADD COLUMN search_name_of TEXT;

-- Files whose names were not looked at yet: those that were there before, and what brokers of the version before write. Empty after a while.
CREATE INDEX files_unsearched ON files (-id)
    WHERE state <> 'temp' AND length(CAST(name AS BLOB)) <> length(name) AND search_name_of IS NOT name;
