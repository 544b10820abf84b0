-- Channels are found when the service starts: which methods there are is checked in teams.yaml, not here.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_method_check;
