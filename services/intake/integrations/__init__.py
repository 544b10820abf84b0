"""Integrations: the systems that may send signals, their keys and their settings."""
