"""Traces as plain data, and as a picture."""
