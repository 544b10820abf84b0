-- Every record of every topic as its exact bytes. See services/reporting/audit.py for the chain and its framing.
CREATE TABLE audit (
    topic       text        NOT NULL,
    "partition" integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    recorded_at timestamptz NOT NULL,      -- the broker's timestamp
    key         bytea,
    value       bytea,
    headers     bytea       NOT NULL,      -- framed: names and values of records are any bytes at all
    hash        bytea       NOT NULL,
    PRIMARY KEY (topic, "partition", "offset")
);
-- Append-only: the service can neither change nor delete what it has recorded.
REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM tocsin_reporting;

-- Who said what of an incident, newest state per producer, and what follows from these.
CREATE TABLE incidents (
    incident_id         uuid PRIMARY KEY,
    sequence            bigint NOT NULL DEFAULT 0,   -- of the IncidentState that was told last
    intake_sequence     bigint NOT NULL DEFAULT 0,   -- 0: the producer has said nothing yet
    triage_sequence     bigint NOT NULL DEFAULT 0,
    escalation_sequence bigint NOT NULL DEFAULT 0,
    reported            jsonb,
    triaged             jsonb,
    response            jsonb,
    trace_id            text,
    -- Derived from the above by the domain, for lists and figures.
    state               jsonb,
    number              bigint,
    status              text,
    team                text,
    opened_at           timestamptz,
    acknowledged_at     timestamptz,
    resolved_at         timestamptz
);
CREATE INDEX incidents_by_number ON incidents (number);
CREATE INDEX incidents_open ON incidents (number) WHERE status <> 'resolved';
CREATE INDEX incidents_by_resolution ON incidents (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX incidents_by_opening ON incidents (opened_at);

-- One row an event, late ones too; a repeat finds its row taken.
CREATE TABLE timeline (
    incident_id uuid        NOT NULL,
    producer    text        NOT NULL,
    sequence    bigint      NOT NULL,
    at          timestamptz NOT NULL,
    type        text        NOT NULL,
    title       text        NOT NULL,
    detail      jsonb       NOT NULL,
    trace_id    text,
    span_id     text,
    PRIMARY KEY (incident_id, producer, sequence)
);

CREATE TABLE changes (
    change_id uuid        PRIMARY KEY,
    service   text,
    kind      text        NOT NULL,
    summary   text        NOT NULL,
    version   text,
    source    text        NOT NULL,
    links     jsonb       NOT NULL,
    made_at   timestamptz NOT NULL
);
CREATE INDEX changes_by_service ON changes (service, made_at);
CREATE INDEX changes_by_time ON changes (made_at);

-- Service requests; `team` is null until triage has routed it.
CREATE TABLE requests (
    request_id  uuid        PRIMARY KEY,
    summary     text        NOT NULL,
    service     text,
    requester   text,
    received_at timestamptz NOT NULL,
    team        text,
    reasons     jsonb
);
CREATE INDEX requests_by_time ON requests (received_at);
