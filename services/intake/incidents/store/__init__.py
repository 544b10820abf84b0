"""SQL of incidents and of their alerts."""
