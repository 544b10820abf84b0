"""Signals: what publishers say, checked, bounded and logged once."""
