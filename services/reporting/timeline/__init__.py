"""Timelines: an incident's state and its history."""
