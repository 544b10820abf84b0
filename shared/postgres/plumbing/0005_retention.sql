-- When retention runs next, and how far the run that is under way has come. Whoever holds the lock of the row works on it.
CREATE TABLE retention (
    only_row    boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    due_at      timestamptz NOT NULL DEFAULT now() + interval '1 hour',
    finished_at timestamptz,
    run         jsonb                      -- aging.Run; NULL between runs
);
INSERT INTO retention DEFAULT VALUES;

-- When the epoch was raised last: a database that was put back counts how often retention may have raised it since.
ALTER TABLE installation ADD COLUMN raised_at timestamptz NOT NULL DEFAULT now();
