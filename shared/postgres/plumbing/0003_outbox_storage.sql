-- Rows live for milliseconds: compressing an event of some kilobytes costs more than the space that
-- it saves.
ALTER TABLE outbox SET (toast_tuple_target = 8160);
