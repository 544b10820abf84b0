"""Escalation policies: which step pages whom, and when."""
