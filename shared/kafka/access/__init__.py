"""Who may do what in Kafka: declared by services and roles, listed and applied as ACLs."""
