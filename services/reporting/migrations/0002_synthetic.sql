-- Incidents of a canary: kept like others, left out of figures and lists.
ALTER TABLE incidents ADD COLUMN synthetic boolean NOT NULL DEFAULT false;
-- Services whose incidents triage called synthetic last: so those it has not spoken of yet are not shown for a moment.
CREATE TABLE synthetic_services (service text PRIMARY KEY);

-- A canary makes more incidents than the rest of the world: what skips them must not have to read them.
CREATE INDEX incidents_listed ON incidents (number) WHERE NOT synthetic;
CREATE INDEX incidents_synthetic ON incidents (number) WHERE synthetic;
DROP INDEX incidents_by_resolution;
CREATE INDEX incidents_by_resolution ON incidents (resolved_at) WHERE resolved_at IS NOT NULL AND NOT synthetic;
DROP INDEX incidents_by_opening;
CREATE INDEX incidents_by_opening ON incidents (opened_at) WHERE NOT synthetic;
