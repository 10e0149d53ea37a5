-- How many uploads of a file were refused, over all of its forms: after some the slip is dead.
ALTER TABLE files ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
