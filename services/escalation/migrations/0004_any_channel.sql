-- Channels are found when the service starts. Which methods there are is checked in teams.yaml.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_method_check;
