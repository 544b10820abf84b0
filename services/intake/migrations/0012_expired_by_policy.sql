-- Whether an alert's end was set by policy, not by its sender: the timeline says so.
ALTER TABLE alerts ADD COLUMN by_policy boolean NOT NULL DEFAULT false;
