-- Every incident is updated soon after its insert, in columns without an index: with room on its page, the new version
-- stays there and no index changes. Uncompressed, since a compressed state is read and written again with each update.
ALTER TABLE incidents SET (fillfactor = 50, toast_tuple_target = 8160);
