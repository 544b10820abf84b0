-- Weaknesses of software, and patches for them, as their publishers told of them.
CREATE TABLE advisories (
    advisory_id uuid        PRIMARY KEY,
    advisory    text        NOT NULL,      -- its id where it was published
    status      text        NOT NULL,
    severity    text,
    service     text,
    summary     text        NOT NULL,
    packages    jsonb       NOT NULL,
    fixed_in    jsonb       NOT NULL,
    links       jsonb       NOT NULL,
    source      text        NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE INDEX advisories_by_time ON advisories (received_at);
