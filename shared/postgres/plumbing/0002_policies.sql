-- The last policy files that passed their checks, so that a bad edit cannot stop a restart. The text is as in the file:
-- variables of the environment stand in it by name.
CREATE TABLE policies (
    name     text        PRIMARY KEY,
    version  text        NOT NULL,
    text     text        NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now()
);
