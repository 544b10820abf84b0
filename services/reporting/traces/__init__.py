"""Traces: read from a backend and drawn as a waterfall."""
