"""Alerts that come by mail: each integration has an address."""
