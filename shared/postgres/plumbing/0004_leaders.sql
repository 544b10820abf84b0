-- Who leads: the session that holds the advisory lock of this number. Every role of the database can take
-- any advisory lock, but only this service's can write the number here, and each new leader takes a new
-- one that nobody can guess.
CREATE TABLE leaders (
    role text   PRIMARY KEY,
    lock bigint NOT NULL
);
