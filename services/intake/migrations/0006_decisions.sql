-- Every column may be absent or has a default: the version before goes on beside this one.
-- What was decided about the signals of a batch, and why: one compressed document for all, since a column of each would cost a storm a fifth.
CREATE TABLE explanations (
    batch      uuid PRIMARY KEY,
    decided_at timestamptz NOT NULL,
    document   bytea       NOT NULL  -- a JSON array, deflated; each: the signal after redaction, what was done to it, and why; the policy, the trace
);
ALTER TABLE explanations ALTER COLUMN document SET STORAGE EXTERNAL;  -- it is compressed
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
