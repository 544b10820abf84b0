-- Where this service stands in each topic-partition. The row is locked and advanced in the transaction of the effects.
CREATE TABLE offsets (
    topic          text    NOT NULL,
    "partition"    integer NOT NULL,
    next_offset    bigint  NOT NULL,     -- all before it is done; it may stand past markers that are no records
    last_offset    bigint,               -- of the newest record that is done, with its timestamp: together they tell
    last_timestamp timestamptz,          -- a recreated log from the one we read
    PRIMARY KEY (topic, "partition")
);

-- Events that are committed and wait for the relay. Read, published, then deleted, in order of id.
CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      text        NOT NULL,
    key        bytea       NOT NULL,
    value      bytea,                    -- NULL is a tombstone of a compacted topic
    headers    jsonb       NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL
);

-- Things to do later. A timer carries the trace of what set it.
CREATE TABLE timers (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text        NOT NULL,
    subject     uuid        NOT NULL,
    due_at      timestamptz NOT NULL,
    payload     jsonb       NOT NULL DEFAULT '{}',
    traceparent text,
    tracestate  text
);
CREATE INDEX timers_due ON timers (due_at, id);

-- Which database this is. A restored one raises the epoch, which is the high part of every sequence it hands out.
CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch    bigint NOT NULL DEFAULT 0,
    identity text
);
INSERT INTO installation DEFAULT VALUES;
