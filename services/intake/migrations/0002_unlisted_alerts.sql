-- A notification about a large group leaves alerts out and says how many. One row stands for all of them.
ALTER TABLE alerts ADD COLUMN stands_for integer NOT NULL DEFAULT 1;
