"""Identify and log."""
