-- The processes that run the service now: what they are, and what they think the time is.
CREATE TABLE replicas (
    name       text        PRIMARY KEY,
    version    text        NOT NULL,
    policies   jsonb       NOT NULL,      -- version of each policy file in force
    clock      timestamptz NOT NULL,      -- of the replica's machine, when it wrote the row
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL       -- by the database's clock
);
