"""The tables every service's schema has for the plumbing: offsets, outbox, timers, installation."""
