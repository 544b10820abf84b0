"""Get a human, and keep the response's state."""
