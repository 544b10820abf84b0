-- outside a transaction
-- In which incident an alert fires.
CREATE INDEX CONCURRENTLY IF NOT EXISTS alerts_firing ON alerts (identity) WHERE firing AND identity IS NOT NULL;
-- The incident before: whether it is flapping.
CREATE INDEX CONCURRENTLY IF NOT EXISTS incidents_ended ON incidents (fingerprint, opened_at DESC) WHERE status <> 'open';
-- How many of a service are open.
CREATE INDEX CONCURRENTLY IF NOT EXISTS incidents_of_service ON incidents (service) WHERE status = 'open';
-- An incident that takes no more makes room for the next of its fingerprint.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS incidents_one_taking ON incidents (fingerprint) WHERE status = 'open' AND takes_more;
DROP INDEX CONCURRENTLY IF EXISTS incidents_one_open;
