-- The newest decision on each incident, with its inputs and reasons, so that it can be explained later.
CREATE TABLE incidents (
    incident_id     uuid PRIMARY KEY,
    intake_sequence bigint NOT NULL,      -- the newest intake event that was taken in
    sequence        bigint NOT NULL,      -- the newest event written here
    triage          jsonb  NOT NULL,      -- the state as events carry it
    decided_at      timestamptz NOT NULL
);

-- Service requests and where they went. Nobody is paged for one.
CREATE TABLE requests (
    request_id     uuid PRIMARY KEY,
    team           text        NOT NULL,
    summary        text        NOT NULL,
    service        text,
    reasons        jsonb       NOT NULL,
    policy_version text        NOT NULL,
    routed_at      timestamptz NOT NULL
);
