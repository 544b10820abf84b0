-- Every incident that somebody has to act on, and where its response stands.
CREATE TABLE incidents (
    id          uuid        PRIMARY KEY,
    number      bigint      NOT NULL,
    status      text        NOT NULL CHECK (status IN ('triggered', 'acknowledged', 'resolved')),
    sequence    bigint      NOT NULL,    -- of the newest event that was emitted about it
    state       jsonb       NOT NULL,    -- domain.Incident, with the policy as it was at the start
    traceparent text,                    -- every later span of the incident is a child of this one
    tracestate  text,
    updated_at  timestamptz NOT NULL
);
-- Not unique: intake numbers them, and after a restore of its database a number can come twice.
CREATE INDEX incidents_number ON incidents (number);

-- The delivery ledger: one row a page, over all its attempts. No address, URL or secret ever stands here: they are
-- looked up in the teams file when the page is sent.
CREATE TABLE deliveries (
    attempt_key        text        PRIMARY KEY,
    incident_id        uuid        NOT NULL REFERENCES incidents (id),
    user_id            text        NOT NULL,
    method             text        NOT NULL CHECK (method IN ('webhook', 'email')),
    step               integer     NOT NULL,
    round              integer     NOT NULL,
    why                jsonb       NOT NULL,
    status             text        NOT NULL DEFAULT 'pending'
                       CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'cut')),
    attempts           integer     NOT NULL DEFAULT 0,
    due_at             timestamptz NOT NULL,    -- pending: the next attempt; sending: the end of the sender's lease
    last_error         text,
    possible_duplicate boolean     NOT NULL DEFAULT false,
    created_at         timestamptz NOT NULL,
    started_at         timestamptz,
    sent_at            timestamptz,
    traceparent        text,
    tracestate         text
);
CREATE INDEX deliveries_incident ON deliveries (incident_id);
-- What the sender looks for; per receiver, so that a slow one is passed over without reading all its rows.
CREATE INDEX deliveries_due ON deliveries (user_id, method, due_at) WHERE status IN ('pending', 'sending');
