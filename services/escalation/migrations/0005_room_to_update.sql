-- Every incident is updated soon after its insert, in columns without an index: with room on its
-- page, the new version stays there and no index changes. Uncompressed, since each update would
-- read and write a compressed state again.
ALTER TABLE incidents SET (fillfactor = 50, toast_tuple_target = 8160);
