-- Pages are found by receiver alone: with this index at hand, the planner read past the backlog of one to send to another.
DROP INDEX deliveries_next;
