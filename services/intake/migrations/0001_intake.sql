-- Who may send. Only a hash of the secret is kept; the key itself is shown once, when it is made.
CREATE TABLE integration_keys (
    key_id      text PRIMARY KEY,         -- the public part, shown in lists
    name        text        NOT NULL,     -- the integration; two keys of one name are a rotation
    secret_hash bytea       NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz
);

CREATE SEQUENCE incident_numbers START 1000;

CREATE TABLE incidents (
    incident_id     uuid PRIMARY KEY,
    number          bigint      NOT NULL,
    status          text        NOT NULL CHECK (status IN ('open', 'cleared', 'closed')),
    origin          text        NOT NULL,  -- whose signals: integration (or topic) and CloudEvents source
    fingerprint     text        NOT NULL,
    summary         text        NOT NULL,
    severity        text        NOT NULL,
    severity_reason text,
    service         text,
    labels          jsonb       NOT NULL,
    annotations     jsonb       NOT NULL,
    links           jsonb       NOT NULL,
    signal_count    bigint      NOT NULL,
    alerts_firing   integer     NOT NULL,
    started_at      timestamptz NOT NULL,
    opened_at       timestamptz NOT NULL,
    last_signal_at  timestamptz NOT NULL,
    cleared_at      timestamptz,
    described_by    jsonb       NOT NULL,  -- [sender's time, signal id] of the signal that summary and labels come from
    fired_by        text        NOT NULL,  -- id of the newest firing signal: an incident after a resolution derives from it
    fired_sequence  bigint      NOT NULL,  -- the event that tells of that signal; above `sequence` while it is held back
    sequence        bigint      NOT NULL,
    told_at         timestamptz NOT NULL,  -- when the newest event was written: updates are coalesced from here
    expiry_armed_at timestamptz,           -- the timer that looks for alerts which ended without a word
    held_back       boolean     NOT NULL,  -- signals came in that no event has told of; a timer will
    traceparent     text        NOT NULL,
    tracestate      text
);
-- What makes "one open incident a fingerprint" true under concurrent writers.
CREATE UNIQUE INDEX incidents_one_open ON incidents (fingerprint) WHERE status = 'open';

-- The alerts that an incident consists of; it clears when none fires.
CREATE TABLE alerts (
    incident_id uuid    NOT NULL REFERENCES incidents,
    alert_key   text    NOT NULL,
    firing      boolean NOT NULL,
    ends_at     timestamptz,               -- the sender's promise to resend before then
    PRIMARY KEY (incident_id, alert_key)
);
CREATE INDEX alerts_ending ON alerts (incident_id, ends_at) WHERE firing AND ends_at IS NOT NULL;

-- Incidents that responders resolved before this database knew them: it was put back, and reads again what made them.
CREATE TABLE resolved_ahead (
    incident_id uuid PRIMARY KEY,
    noted_at    timestamptz NOT NULL
);

-- Every accepted signal and what became of it. Also drops a publisher's repeats, for as long as rows are kept.
CREATE TABLE signals (
    origin      text        NOT NULL,
    signal_id   text        NOT NULL,
    received_at timestamptz NOT NULL,
    decision    text        NOT NULL,
    subject     uuid,                      -- the incident, request or change it went into
    PRIMARY KEY (origin, signal_id)
);
CREATE INDEX signals_by_age ON signals USING brin (received_at);
