-- Every column may be absent or has a default: the version before goes on beside this one.
-- What was decided about the signals of a batch, and why: one document for all, since a row or a column for each would cost a storm a fifth.
CREATE TABLE explanations (
    batch      uuid PRIMARY KEY,
    decided_at timestamptz NOT NULL,
    document   text        NOT NULL  -- a JSON array; each: the signal after redaction, what was done to it, and why; the policy, the trace
);
CREATE INDEX explanations_by_age ON explanations USING brin (decided_at);
ALTER TABLE signals
    ADD COLUMN batch uuid,
    ADD COLUMN batch_place integer;    -- in the document, from 0

ALTER TABLE incidents
    ADD COLUMN component   text,
    ADD COLUMN environment text,
    ADD COLUMN category    text,
    ADD COLUMN description text,
    ADD COLUMN kind        text NOT NULL DEFAULT 'incident',  -- what a person said that it is: request, change, patch
    ADD COLUMN kind_by     text,
    ADD COLUMN kind_note   text;
