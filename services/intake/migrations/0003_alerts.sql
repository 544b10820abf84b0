-- Alerts have an identity of their own, whatever group their sender or the policy puts them into; and incidents tell of theirs.
-- Every column has a default or may be absent: the version before goes on beside this one.
ALTER TABLE alerts
    ADD COLUMN identity     text,             -- of an alert that shares its incident by policy or by its sender's grouping
    ADD COLUMN name         text,             -- the sender's key
    ADD COLUMN content      jsonb,            -- summary, severity, service, labels, annotations, links; NULL: the incident's own
    ADD COLUMN acknowledged boolean     NOT NULL DEFAULT false,
    ADD COLUMN held         boolean     NOT NULL DEFAULT false,  -- resolved, and fires until `ends_at`: a delay, or it was flapping
    ADD COLUMN started_at   timestamptz,
    ADD COLUMN changed_at   timestamptz NOT NULL DEFAULT now();  -- when it began or ended here

ALTER TABLE incidents
    ADD COLUMN alerts_total    integer NOT NULL DEFAULT 1,      -- that it has consisted of, without those that are unlisted
    ADD COLUMN alerts_unlisted integer NOT NULL DEFAULT 0,
    ADD COLUMN alerts          jsonb   NOT NULL DEFAULT '[]',   -- a few of them, for events
    ADD COLUMN takes_more      boolean NOT NULL DEFAULT true,   -- false: its window is over, or it is full
    ADD COLUMN episodes        jsonb   NOT NULL DEFAULT '[]',   -- when incidents of this fingerprint began lately, this one included
    ADD COLUMN flapping        boolean NOT NULL DEFAULT false,
    ADD COLUMN acknowledged_by text,                            -- at the sender
    ADD COLUMN opens_at        timestamptz;                     -- it was not reported yet: it will be then, if it still fires
