-- outside a transaction
-- People name incidents by their numbers. Not unique: after a restore a number can come twice.
CREATE INDEX CONCURRENTLY IF NOT EXISTS incidents_number ON incidents (number);
