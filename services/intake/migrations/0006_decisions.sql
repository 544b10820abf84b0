-- Every column may be absent or has a default: the version before goes on beside this one.
ALTER TABLE signals ADD COLUMN explanation jsonb;  -- what came in, after redaction; what was done to it, and why; the policy and the trace

ALTER TABLE incidents
    ADD COLUMN component   text,
    ADD COLUMN environment text,
    ADD COLUMN category    text,
    ADD COLUMN description text,
    ADD COLUMN kind        text NOT NULL DEFAULT 'incident',  -- what a person said that it is: request, change, patch
    ADD COLUMN kind_by     text,
    ADD COLUMN kind_note   text;
