-- outside a transaction
-- People name an incident by its number. Not unique: after a restore a number can come twice.
CREATE INDEX CONCURRENTLY IF NOT EXISTS incidents_by_number ON incidents (number);
