-- What a list shows must be found where it stands, with a million incidents and a hundred thousand of them open.
ALTER TABLE incidents ADD COLUMN priority text;    -- derived, as the columns beside it
-- Of the resolved ones nobody asks for it; they would take minutes, while nobody could read.
UPDATE incidents SET priority = state ->> 'priority' WHERE status <> 'resolved';

-- Team and status last: they are looked at in the index, so that a team with few incidents costs no visits to others'.
CREATE INDEX incidents_board ON incidents (priority, opened_at, number, team)
    WHERE status <> 'resolved' AND NOT synthetic;
DROP INDEX incidents_open;
CREATE INDEX incidents_open ON incidents (number, status, team) WHERE status <> 'resolved' AND NOT synthetic;
CREATE INDEX incidents_by_team ON incidents (team, number) WHERE NOT synthetic;
CREATE INDEX incidents_by_team_resolution ON incidents (team, resolved_at)
    WHERE resolved_at IS NOT NULL AND NOT synthetic;
-- The figures are read out of the index alone.
DROP INDEX incidents_by_opening;
CREATE INDEX incidents_by_opening ON incidents (opened_at) INCLUDE (acknowledged_at, resolved_at) WHERE NOT synthetic;
