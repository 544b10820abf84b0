"""Signals: input from publishers, validated, bounded and logged once."""
