"""Prioritise and start the diagnosis."""
