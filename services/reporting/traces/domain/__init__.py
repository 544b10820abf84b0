"""Traces as plain data."""
