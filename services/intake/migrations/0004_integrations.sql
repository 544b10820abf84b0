-- Who may send, with settings. Keys name their integration; one without a row has the defaults.
CREATE TABLE integrations (
    name       text PRIMARY KEY,
    settings   jsonb       NOT NULL DEFAULT '{}',
    from_file  boolean     NOT NULL DEFAULT false,  -- integrations.yaml has it, and changes it
    created_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO integrations (name, created_at)
SELECT name, min(created_at) FROM integration_keys GROUP BY name;
