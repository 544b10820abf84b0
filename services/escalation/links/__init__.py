"""Signed one-click links."""
