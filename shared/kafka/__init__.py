"""Kafka: topics, consumption with offsets in Postgres, dead letters and their redrive."""
