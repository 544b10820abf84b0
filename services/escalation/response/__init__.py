"""The response to an incident: its state, and what people do to it."""
