"""Service requests: each goes to the team that owns its service."""
