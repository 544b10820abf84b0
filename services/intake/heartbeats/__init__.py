"""Heartbeats: signs of life that are expected every so often."""
