"""Channels: one module per way to reach a person."""
