-- A sweeper leases each doomed key before its object goes: with room in the page the new version of the row stays there, and no index
-- is written to.
ALTER TABLE doomed_objects SET (fillfactor = 50);
