"""Integration keys: who may send signals."""
