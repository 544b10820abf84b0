"""Postgres: pools, migrations, the outbox and its relay, timers, leadership, notifications."""
