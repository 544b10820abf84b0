"""Incidents: folding alerts into incidents, and how incidents end."""
