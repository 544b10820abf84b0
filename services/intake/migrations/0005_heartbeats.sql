-- Signs of life that are expected every so often: one that stays away opens an incident.
CREATE TABLE heartbeats (
    heartbeat_id uuid PRIMARY KEY,         -- what its timer is about
    name         text        NOT NULL UNIQUE,
    managed_by   text        NOT NULL CHECK (managed_by IN ('policy', 'operator', 'sender')),
    settings     jsonb       NOT NULL,     -- how often, with how much grace, and what its incident says
    created_at   timestamptz NOT NULL,
    last_beat_at timestamptz,
    due_at       timestamptz,              -- when it counts as missed, or is reported as missed again; null: never
    missed_at    timestamptz,              -- since when it is missed; null: it is not
    extended     boolean     NOT NULL,     -- intake itself was away when it was due, so it got more time
    removed      boolean     NOT NULL,     -- deleted, but its incident has still to be cleared
    armed_at     timestamptz               -- when the timer that looks at it fires; null: there is none
);
