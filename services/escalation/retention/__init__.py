"""How long escalation keeps responses that have ended."""
