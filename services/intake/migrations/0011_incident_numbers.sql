-- outside a transaction
-- People name an incident by its number.
CREATE INDEX CONCURRENTLY IF NOT EXISTS incidents_by_number ON incidents (number);
